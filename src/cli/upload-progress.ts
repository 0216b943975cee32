// How far the paths of one `enqueue --wait` have come, and that as a line. Pure.

import type { QueueItem, UploadTargetStatus } from "../control/messages.js";
import { printable } from "../util/printable.js";
import { bytesOf, counted, speed, timeLeft } from "./words.js";

type Targets = Readonly<Record<string, UploadTargetStatus>>;

export interface UploadProgress {
  readonly paths: { readonly arrived: number; readonly all: number };
  /** NARs, once for each cache that they go to; null where not all sizes are known. */
  readonly bytes: { readonly sent: number; readonly size: number } | null;
  /** Bytes per second; null while nothing goes. */
  readonly rate: number | null;
  /** Why nothing goes, of each cache that these paths wait for. */
  readonly waits: readonly string[];
}

/** `before` is what was in the queue when the wait began, `left` what is now; only of the paths that are waited for. */
export function uploadProgress(
  all: number,
  before: readonly QueueItem[],
  left: readonly QueueItem[],
  targets: Targets,
): UploadProgress {
  const copying = targetsOf(left).filter((name) => targets[name]?.state === "copying");
  const rates = copying.flatMap((name) => targets[name]?.rate ?? []);
  const size = bytesFor(before, () => 0);
  const rest = bytesFor(left, ({ sent }) => sent);
  return {
    paths: { arrived: all - left.length, all },
    bytes: size === null || size === 0 || rest === null ? null : { size, sent: Math.max(0, size - rest) },
    rate: rates.length === 0 ? null : rates.reduce((sum, rate) => sum + rate, 0),
    waits: targetsOf(left).flatMap((name) => waitOf(name, left, targets[name])),
  };
}

/** `3 of 10 paths, 120.3 of 340.0 MiB, 11.2 MiB/s, 20 s left`. */
export function progressText({ paths, bytes, rate }: UploadProgress): string {
  const left = bytes === null ? null : timeLeft(bytes.size - bytes.sent, rate);
  return [
    `${paths.arrived} of ${counted(paths.all, "path")}`,
    ...(bytes === null ? [] : [bytesOf(bytes.sent, bytes.size)]),
    ...(rate === null ? [] : [speed(rate)]),
    ...(left === null ? [] : [left]),
  ].join(", ");
}

/** Characters of the bar; in steps, so that it does not change with every digit beside it. */
const bar = { most: 24, least: 8, step: 4 };

/** The same behind a bar, where there is room for one; never wider than `width`. */
export function progressLine(progress: UploadProgress, width: number): string {
  const { paths, bytes } = progress;
  const text = progressText(progress);
  const free = width - text.length - "[] ".length;
  const room = Math.min(bar.most, free - (free % bar.step));
  if (room < bar.least) return text.slice(0, width);
  const part = bytes === null ? paths.arrived / paths.all : bytes.sent / bytes.size;
  const full = Math.floor(Math.min(1, part) * room);
  return `[${"#".repeat(full)}${" ".repeat(room - full)}] ${text}`;
}

function targetsOf(items: readonly QueueItem[]): string[] {
  const waiting = items.flatMap(({ targets }) => targets.filter(({ state }) => state !== "set-aside"));
  return [...new Set(waiting.map(({ name }) => name))];
}

/** Null where a size is not known. */
function bytesFor(
  items: readonly QueueItem[],
  sentOf: (target: QueueItem["targets"][number]) => number,
): number | null {
  let sum = 0;
  for (const { size, targets } of items) {
    if (size === null) return null;
    for (const target of targets) sum += Math.max(0, size - sentOf(target));
  }
  return sum;
}

function waitOf(name: string, left: readonly QueueItem[], target: UploadTargetStatus | undefined): string[] {
  const reason = printable(target?.reason ?? "");
  switch (target?.state) {
    case "offline":
      return [`${name} is not in reach`];
    case "backing-off":
      return [`${name} waits${reason === "" ? "" : `: ${reason}`}`];
    case "held":
      return left.every(({ now }) => now)
        ? []
        : [`${name} is sent nothing: ${reason}; \`enqueue --now\` sends it all the same`];
    case "copying":
    case "resting":
    case undefined:
      return [];
  }
}
