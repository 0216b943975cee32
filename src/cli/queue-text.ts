// The queue of uploads as text for a person. Pure: the items, the time and the width decide every character.

import type { QueueItem, UploadTargetStatus } from "../control/messages.js";
import { printable } from "../util/printable.js";
import { bytes, counted, duration, wrapped } from "./words.js";

export interface QueueTextOptions {
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Characters in a line; Infinity where lines may be of any length. */
  readonly width: number;
}

type Targets = Readonly<Record<string, UploadTargetStatus>>;

const headings = ["SIZE", "FOR", "TO", "PATH"] as const;

/** The lines of `queue list`, each ended by a newline: a path each, and below it why it waits. */
export function queueText(queue: readonly QueueItem[], targets: Targets, options: QueueTextOptions): string {
  if (queue.length === 0) return "Nothing waits for its upload.\n";
  const { now, width } = options;
  const rows = queue.map((item) => ({
    cells: [
      item.size === null ? "-" : bytes(item.size),
      duration(now - Date.parse(item.since)),
      item.targets.map(({ name }) => name).join(", "),
      printable(item.path),
    ],
    notes: notesOf(item, targets, now),
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
  const lines = [
    line(headings),
    ...rows.flatMap(({ cells, notes }) => [
      line(cells),
      ...notes.flatMap((note) => wrapped("    ", note, width)),
    ]),
    counted(queue.length, "path"),
  ];
  return lines.map((one) => `${one}\n`).join("");
}

function notesOf({ targets: where }: QueueItem, targets: Targets, now: number): string[] {
  return where.map(({ name, state, reason, retryAt, tries }) => {
    const why = reason === null ? "" : `: ${printable(reason)}`;
    if (state === "copying") return `${name}: on its way`;
    if (state === "set-aside") return `${name}: set aside${why}`;
    if (targets[name]?.state === "offline") return `${name}: waits until it is in reach`;
    if (tries === 0 || retryAt === null) return `${name}: next in turn`;
    const ms = Date.parse(retryAt) - now;
    const again = ms < 1000 ? "now" : `in ${duration(ms)}`;
    return `${name}: ${tries === 1 ? "has failed once" : `has failed ${tries} times`}, next try ${again}${why}`;
  });
}
