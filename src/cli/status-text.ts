// The report of the daemon as text for a person. Pure: the report, the time and the width decide every character.

import { styleText } from "node:util";
import type { CacheStateName, CacheStatus, StatusReport, Warning } from "../control/messages.js";
import { printable } from "../util/printable.js";
import { bytes, counted, duration, wrapped } from "./words.js";

export interface StatusTextOptions {
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Characters in a line; Infinity where lines may be of any length. */
  readonly width: number;
  readonly colour: boolean;
}

type Style = Parameters<typeof styleText>[0];
type Paint = (style: Style, text: string) => string;

const stateStyle: Record<CacheStateName, Style> = {
  online: "green",
  connecting: "yellow",
  waiting: "red",
  offline: "dim",
  paused: "yellow",
};

/** In a cell that has nothing to say. */
const nothing = "-";

/** A cache with its texts: the table's cells, and the sentences that go below them. */
interface CacheText {
  readonly state: CacheStateName;
  readonly cells: Cells;
  readonly notes: readonly string[];
}

interface Cells {
  readonly name: string;
  readonly state: string;
  readonly since: string;
  readonly where: string;
  readonly via: string;
  readonly listed: string;
  readonly given: string;
}

const headings: Cells = {
  name: "CACHE",
  state: "STATE",
  since: "FOR",
  where: "WHERE",
  via: "VIA",
  listed: "IN NIX",
  given: "GIVEN",
};

/** The lines of `status` for the caches in `names`, each ended by a newline. */
export function statusText(
  report: StatusReport,
  names: readonly string[],
  options: StatusTextOptions,
): string {
  const { now, width, colour } = options;
  const paint: Paint = (style, text) => (colour ? styleText(style, text, { validateStream: false }) : text);
  const all = names.length === Object.keys(report.caches).length;
  const warnings = report.warnings.filter(({ cache }) => (cache === null ? all : names.includes(cache)));
  // A warning that goes on from a reason takes its place, so that nothing is said twice.
  const told = new Set<Warning>();
  const caches = names.flatMap((name): CacheText[] => {
    const status = report.caches[name];
    if (status === undefined) return [];
    const own = warnings.filter(({ cache }) => cache === name);
    const notes = reasonNote(status, own, told, now);
    return [{ state: status.state, cells: cellsOf(name, status, report.warnings, now), notes }];
  });
  const standing = warnings.filter((warning) => !told.has(warning));
  return [
    ...(caches.length === 0 ? ["No caches are configured."] : cacheLines(caches, width, paint)),
    ...(all ? uploadLines(report, width) : []),
    ...warningLines(standing, width, paint),
  ]
    .map((line) => `${line.trimEnd()}\n`)
    .join("");
}

/** A table, or where that is too wide a few short lines for each cache. */
function cacheLines(caches: readonly CacheText[], width: number, paint: Paint): string[] {
  const columns = Object.keys(headings) as (keyof Cells)[];
  const widths = columns.map((column) =>
    Math.max(headings[column].length, ...caches.map(({ cells }) => cells[column].length)),
  );
  if (widths.reduce((sum, one) => sum + one + 2, -2) > width) {
    return caches.flatMap((cache) => blockLines(cache, width, paint));
  }
  const row = (cells: Cells, paintState: (text: string) => string): string =>
    columns
      .map((column, index) => {
        const padded = cells[column].padEnd(widths[index] ?? 0);
        return column === "state" ? paintState(padded) : padded;
      })
      .join("  ");
  return [
    paint("bold", row(headings, (text) => text).trimEnd()),
    ...caches.flatMap(({ state, cells, notes }) => [
      row(cells, (text) => paint(stateStyle[state], text)),
      ...notes.flatMap((note) => wrapped("    ", note, width)),
    ]),
  ];
}

function blockLines({ state, cells, notes }: CacheText, width: number, paint: Paint): string[] {
  const via = cells.via === nothing ? "" : `, by ${cells.via}`;
  const facts = [`at ${cells.where}${via}`, `in Nix: ${cells.listed}`, `given: ${cells.given}`];
  return [
    `${cells.name}: ${paint(stateStyle[state], cells.state)} for ${cells.since}`,
    ...[...facts, ...notes].flatMap((fact) => wrapped("  ", fact, width)),
  ];
}

function uploadLines({ uploads }: StatusReport, width: number): string[] {
  const { waiting, uploaded, failed, skipped } = uploads;
  if (waiting + uploaded + failed + skipped === 0) return [];
  const unwanted = skipped === 0 ? "" : `, ${skipped} skipped`;
  const text = `Uploads: ${waiting} waiting, ${uploaded} done, ${failed} failed${unwanted}`;
  return ["", ...wrapped("", text, width)];
}

function warningLines(warnings: readonly Warning[], width: number, paint: Paint): string[] {
  const lines = warnings.flatMap(({ cache, text }) => {
    const sentence = printable(cache === null ? text : `${cache}: ${text}`);
    const [first = "", ...rest] = wrapped("! ", sentence, width);
    return [paint("yellow", "!") + first.slice(1), ...rest];
  });
  return lines.length === 0 ? [] : ["", ...lines];
}

function cellsOf(name: string, status: CacheStatus, warnings: readonly Warning[], now: number): Cells {
  return {
    name,
    state: status.state,
    since: duration(now - Date.parse(status.since)),
    where: whereOf(status),
    via: status.transport ?? nothing,
    listed: inNix(name, status, warnings),
    given: givenBy(status),
  };
}

/** Whether Nix would use it: to be listed is not enough. */
function inNix(name: string, { listed }: CacheStatus, warnings: readonly Warning[]): string {
  const stands = (code: string, cache: string | null): boolean =>
    warnings.some((warning) => warning.code === code && warning.cache === cache);
  if (stands("url-not-allowed", name)) return "no: root must allow it";
  return listed && !stands("override-not-included", null) ? "yes" : "no";
}

function whereOf({ host, address, port }: CacheStatus): string {
  if (address === null) return printable(host);
  if (port === null || port === 22) return printable(address);
  return printable(address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`);
}

function givenBy({ lookups, hits, narBytes }: CacheStatus): string {
  if (lookups === 0 && narBytes === 0) return "nothing yet";
  return `${hits} of ${counted(lookups, "path")}, ${bytes(narBytes)}`;
}

function reasonNote(
  { reason, retryAt }: CacheStatus,
  warnings: readonly Warning[],
  told: Set<Warning>,
  now: number,
): string[] {
  if (reason === null) return [];
  const longer = warnings.find(({ text }) => text.startsWith(reason));
  if (longer !== undefined) told.add(longer);
  const again = retryAt === null ? "" : ` (next try ${inTime(Date.parse(retryAt) - now)})`;
  return [printable(longer?.text ?? reason) + again];
}

function inTime(ms: number): string {
  return ms < 1000 ? "now" : `in ${duration(ms)}`;
}
