// One line of JSON for a custom module of Waybar (waybar-custom(5), `return-type: json`), which other bars read as well. Pure.

import type { CacheStateName, CacheStatus, StatusReport } from "../control/messages.js";
import { printable } from "../util/printable.js";
import { bytes, counted } from "./words.js";

/** What a bar is told. `alt` picks an icon, `class` a style; `percentage` is there while something is on its way. */
interface WaybarLine {
  readonly text: string;
  readonly alt: string;
  /** Its lines. */
  readonly tooltip: readonly string[];
  readonly class: readonly string[];
  readonly percentage?: number;
}

/** What stands for all the caches, where none is online: the one that most needs a look. */
const byUrgency: readonly CacheStateName[] = ["waiting", "connecting", "offline", "paused"];

/** More lines would not fit above a bar. */
const mostLines = 20;

/** The line for the caches in `names`, ended by a newline. */
export function waybarLine(report: StatusReport, names: readonly string[]): string {
  const caches = names.flatMap((name): [string, CacheStatus][] => {
    const status = report.caches[name];
    return status === undefined ? [] : [[name, status]];
  });
  const targets = caches.flatMap(([name]) => report.uploads.targets[name] ?? []);
  const transfers = caches.flatMap(([, status]) => status.transfers);
  const going = targets.flatMap((target) => target.going ?? []);
  const warnings = report.warnings.filter(({ cache }) => cache === null || names.includes(cache));
  const waiting = targets.reduce((sum, target) => sum + target.waiting, 0);

  const marks = [
    transfers.length > 0 ? "↓" : "",
    going.length > 0 ? "↑" : "",
    warnings.length > 0 ? "!" : "",
  ].filter((mark) => mark !== "");
  const told = caches.map(([name, { state }]) => (state === "online" ? name : `${name} ${state}`));
  const alt = altOf(caches.map(([, { state }]) => state));
  const tooltip = [
    ...caches.map(([name, status]) => cacheLine(name, status)),
    ...transfers.map(({ path, sent, size }) => `↓ ${nameOf(path)}: ${bytes(sent)} of ${bytes(size)}`),
    ...going.map(({ paths, sent, size }) => `↑ ${counted(paths, "path")}: ${bytes(sent)} of ${bytes(size)}`),
    ...(waiting === 0 ? [] : [`${counted(waiting, "upload")} waiting`]),
    ...warnings.map(({ cache, text }) => `! ${cache === null ? text : `${cache}: ${text}`}`),
  ];
  return lineOf({
    text: [told.join(", ") || "no caches", ...marks].join(" "),
    alt,
    tooltip: tooltip.slice(0, mostLines),
    class: [
      alt,
      ...(transfers.length > 0 ? ["down"] : []),
      ...(going.length > 0 ? ["up"] : []),
      ...(warnings.length > 0 ? ["warning"] : []),
    ],
    ...percentageOf([...transfers, ...going]),
  });
}

/** The line where the daemon can not be asked, for the reason that `text` tells. */
export function waybarTrouble(text: string): string {
  return lineOf({ text: "stopped", alt: "stopped", tooltip: [text], class: ["stopped"] });
}

function altOf(states: readonly CacheStateName[]): string {
  const online = states.filter((state) => state === "online").length;
  if (online > 0) return online === states.length ? "online" : "partly";
  return byUrgency.find((state) => states.includes(state)) ?? "offline";
}

function cacheLine(name: string, { state, address, reason, lookups, hits, narBytes }: CacheStatus): string {
  const where = address === null ? "" : ` at ${address}`;
  const given = lookups === 0 ? "" : `, gave ${hits} of ${counted(lookups, "path")}, ${bytes(narBytes)}`;
  return `${name}: ${state}${where}${reason === null ? "" : `: ${reason}`}${given}`;
}

function percentageOf(moving: readonly { readonly sent: number; readonly size: number }[]): {
  percentage?: number;
} {
  const size = moving.reduce((sum, one) => sum + one.size, 0);
  const sent = moving.reduce((sum, one) => sum + one.sent, 0);
  return size === 0 ? {} : { percentage: Math.min(100, Math.floor((sent / size) * 100)) };
}

function nameOf(path: string): string {
  return path.slice("/nix/store/".length + 33);
}

function lineOf(line: WaybarLine): string {
  const tooltip = line.tooltip.map(markup).join("\n");
  return `${JSON.stringify({ ...line, text: markup(line.text), tooltip })}\n`;
}

/** Waybar takes text and tooltip for Pango's markup. */
function markup(text: string): string {
  const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };
  return printable(text).replace(/[&<>]/g, (found) => entities[found] ?? found);
}
