// How much went up and down in the last minute, drawn small: a pure picture of what was sampled.

import type { StatusReport } from "../control/messages.js";
import type { Appearance } from "./context.js";
import { speed } from "./words.js";

export interface Throughput {
  /** About once a second; `at` is in milliseconds of a clock that only goes forward. */
  sample(at: number, report: StatusReport, names: readonly string[]): void;
  /** To stand below the status; none before there is anything to say. */
  lines(look: Pick<Appearance, "width" | "blocks">): string[];
}

/** What was transferred by a time, in bytes. */
interface Sample {
  readonly at: number;
  readonly down: number;
  readonly up: number;
}

const spanMs = 60_000;
/** The speed that is told is that of so many milliseconds. */
const recentMs = 3_000;
/** Room for `down `, the speed and the space before it. */
const besideGraph = 20;
const mostColumns = 60;
/** A graph that is narrower says nothing. */
const leastColumns = 10;

const levels = "▁▂▃▄▅▆▇█";

export function createThroughput(): Throughput {
  let samples: Sample[] = [];
  return {
    sample: (at, report, names) => {
      const sum = (of: (name: string) => number): number =>
        names.reduce((total, name) => total + of(name), 0);
      const down = sum((name) => report.caches[name]?.narBytes ?? 0);
      const up = sum((name) => report.uploads.targets[name]?.bytes ?? 0);
      // One more than is shown: the oldest column grows from it.
      samples = [...samples.filter((one) => one.at >= at - spanMs - 2_000), { at, down, up }];
    },
    lines: ({ width, blocks }) => {
      if (samples.length < 2) return [];
      const columns = Math.min(mostColumns, width - besideGraph);
      const line = (name: "down" | "up"): string => {
        const now = speed(recentSpeed(samples, name));
        if (!blocks || columns < leastColumns) return `${name.padEnd(4)} ${now}`;
        return `${name.padEnd(4)} ${sparkline(speeds(samples, name, columns))} ${now.padStart(12)}`;
      };
      return ["", line("down"), line("up")];
    },
  };
}

/**
 * A character for each number, the highest being that of the largest; a space for null. What is not nothing shows, however
 * little it is.
 */
export function sparkline(numbers: readonly (number | null)[]): string {
  const most = Math.max(...numbers.map((number) => number ?? 0));
  return numbers
    .map((number) => {
      if (number === null) return " ";
      if (number === 0 || most === 0) return levels[0];
      return levels[Math.max(1, Math.round((number / most) * (levels.length - 1)))];
    })
    .join("");
}

function recentSpeed(samples: readonly Sample[], name: "down" | "up"): number {
  const last = samples.at(-1);
  if (last === undefined) return 0;
  const first = samples.findLast((one) => one.at <= last.at - recentMs) ?? samples[0];
  return first === undefined ? 0 : speedBetween(first, last, name);
}

/** Of the last minute in so many pieces, the newest last; null where nothing was sampled. */
function speeds(samples: readonly Sample[], name: "down" | "up", columns: number): (number | null)[] {
  const end = samples.at(-1)?.at ?? 0;
  const step = spanMs / columns;
  return Array.from({ length: columns }, (_, column) => {
    const to = end - (columns - 1 - column) * step;
    const last = samples.findLast((one) => one.at <= to);
    const first = samples.findLast((one) => one.at <= to - step) ?? samples[0];
    if (last === undefined || first === undefined || last.at <= first.at) return null;
    return speedBetween(first, last, name);
  });
}

/** Bytes per second; a daemon that was started anew counts from nothing. */
function speedBetween(first: Sample, last: Sample, name: "down" | "up"): number {
  const seconds = (last.at - first.at) / 1000;
  return seconds <= 0 ? 0 : Math.max(0, last[name] - first[name]) / seconds;
}
