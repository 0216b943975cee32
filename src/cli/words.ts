// Durations, sizes and wrapped sentences, as a person reads them.

const durations = [
  { unit: "d", ms: 86_400_000 },
  { unit: "h", ms: 3_600_000 },
  { unit: "min", ms: 60_000 },
  { unit: "s", ms: 1000 },
] as const;

/** `3 d`, `2 h`, `12 min`, `40 s`: one unit is enough to know what to think of it. Never negative. */
export function duration(ms: number): string {
  const fit = durations.find((one) => ms >= one.ms);
  return fit === undefined ? "0 s" : `${Math.floor(ms / fit.ms)} ${fit.unit}`;
}

const spoken = { d: "day", h: "hour", min: "minute", s: "second" } as const;

/** `3 days`, `1 hour`: as `duration`, to be read aloud. */
export function spokenDuration(ms: number): string {
  const fit = durations.find((one) => ms >= one.ms) ?? durations[3];
  return counted(Math.max(0, Math.floor(ms / fit.ms)), spoken[fit.unit]);
}

const units = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

/** The largest unit of which there is at least one. */
function unitOf(count: number): number {
  let at = 0;
  while (count >= 1024 ** (at + 1) && at < units.length - 1) at++;
  return at;
}

function inUnit(count: number, at: number): string {
  return at === 0 || count === 0 ? String(Math.round(count)) : (count / 1024 ** at).toFixed(1);
}

/** `512 B`, `34.5 MiB`. */
export function bytes(count: number): string {
  const at = unitOf(count);
  return `${inUnit(count, at)} ${units[at]}`;
}

/** `12.5 of 34.5 MiB`. */
export function bytesOf(part: number, whole: number): string {
  const at = unitOf(whole);
  return `${inUnit(part, at)} of ${inUnit(whole, at)} ${units[at]}`;
}

/** `1.2 MiB/s`. */
export function speed(bytesPerSecond: number): string {
  return `${bytes(bytesPerSecond)}/s`;
}

/** `2 min left`; null where nothing moves, or where it is as good as done. */
export function timeLeft(left: number, bytesPerSecond: number | null): string | null {
  if (bytesPerSecond === null || bytesPerSecond < 1 || left <= 0) return null;
  return `${duration(Math.max(1_000, (left / bytesPerSecond) * 1_000))} left`;
}

/** `1 path`, `2 paths`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/**
 * `text` broken between words into lines of at most `width`, the first behind `first`, the others indented as far. What
 * stands in backquotes is to be copied, and never broken.
 */
export function wrapped(first: string, text: string, width: number): string[] {
  const indent = " ".repeat(first.length);
  const lines: string[] = [];
  let line = first;
  let empty = true;
  for (const [word] of text.matchAll(/(`[^`]*`|[^ ])+/g)) {
    if (!empty && line.length + 1 + word.length > width) {
      lines.push(line);
      line = indent;
      empty = true;
    }
    line += empty ? word : ` ${word}`;
    empty = false;
  }
  return [...lines, line];
}
