// The queue of uploads as text for a person. Pure: the items, the time and the width decide every character.

import type { QueueItem, StatusReport } from "../control/messages.js";
import { printable } from "../util/printable.js";
import { untilUsed } from "./uploads-text.js";
import { bytes, bytesOf, counted, duration, spokenDuration, wrapped } from "./words.js";

export interface QueueTextOptions {
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Characters in a line; Infinity where lines may be of any length. */
  readonly width: number;
  /** In sentences. */
  readonly plain: boolean;
}

/** What the queue's items do not say of their targets. */
export type Surroundings = Pick<StatusReport, "caches" | "uploads">;

const headings = ["SIZE", "FOR", "TO", "PATH"] as const;

/** The lines of `queue list`, each ended by a newline: a path each, and below it why it waits. */
export function queueText(
  queue: readonly QueueItem[],
  status: Surroundings,
  options: QueueTextOptions,
): string {
  if (queue.length === 0) return "Nothing waits for its upload.\n";
  const { now, width, plain } = options;
  const lines = [
    ...(plain ? sentences(queue, status, now) : tableLines(queue, status, options)),
    totalLine(queue),
    ...heldLines(status).flatMap((line) => wrapped("", line, width)),
  ];
  return lines.map((one) => `${one}\n`).join("");
}

function tableLines(
  queue: readonly QueueItem[],
  status: Surroundings,
  { now, width }: QueueTextOptions,
): string[] {
  const rows = queue.map((item) => ({
    cells: [
      item.size === null ? "-" : bytes(item.size),
      duration(now - Date.parse(item.since)),
      item.targets.map(({ name }) => name).join(", "),
      printable(item.path),
    ],
    notes: notesOf(item, status, now),
  }));
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map(({ cells }) => cells[column]?.length ?? 0)),
  );
  // The path comes last and may be wider than the screen: nobody copies half a path.
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd();
  return [
    line(headings),
    ...rows.flatMap(({ cells, notes }) => [
      line(cells),
      ...notes.flatMap((note) => wrapped("    ", note, width)),
    ]),
  ];
}

function sentences(queue: readonly QueueItem[], status: Surroundings, now: number): string[] {
  return queue.map((item) => {
    const size = item.size === null ? "of unknown size" : bytes(item.size);
    const since = spokenDuration(now - Date.parse(item.since));
    return `${printable(item.path)}, ${size}, queued ${since} ago. ${notesOf(item, status, now).join(". ")}.`;
  });
}

function totalLine(queue: readonly QueueItem[]): string {
  const known = queue.flatMap(({ size }) => size ?? []);
  const sum = known.reduce((total, size) => total + size, 0);
  const more = known.length === queue.length ? "" : " or more";
  return `${counted(queue.length, "path")}${known.length === 0 ? "" : `, ${bytes(sum)}${more}`}`;
}

/** Why nothing goes to a target, said once. */
function heldLines({ uploads }: Surroundings): string[] {
  return Object.entries(uploads.targets).flatMap(([name, { state, reason }]) =>
    state === "held" ? [`Uploads to ${name} are held back: ${printable(reason ?? "")}`] : [],
  );
}

function notesOf(
  { targets: where, now: isAsked, size }: QueueItem,
  { caches, uploads }: Surroundings,
  now: number,
): string[] {
  return where.map(({ name, state, sent, reason, retryAt, tries }) => {
    const why = reason === null ? "" : `: ${printable(reason)}`;
    if (state === "copying") return `${name}: on its way${size === null ? "" : `, ${bytesOf(sent, size)}`}`;
    if (state === "set-aside") return `${name}: set aside${why}`;
    if (size !== null && sent >= size && size > 0) return `${name}: sent, to be confirmed`;
    const target = uploads.targets[name]?.state;
    if (target === "offline") return `${name}: waits ${untilUsed(caches[name])}`;
    if (target === "held" && !isAsked) return `${name}: held back`;
    if (tries === 0 || retryAt === null) return `${name}: next in turn`;
    const ms = Date.parse(retryAt) - now;
    const again = ms < 1000 ? "now" : `in ${duration(ms)}`;
    return `${name}: ${tries === 1 ? "has failed once" : `has failed ${tries} times`}, next try ${again}${why}`;
  });
}
