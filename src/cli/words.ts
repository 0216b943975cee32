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

/** `512 B`, `34.5 MiB`. */
export function bytes(count: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = count;
  let at = 0;
  while (value >= 1024 && at < units.length - 1) {
    value /= 1024;
    at++;
  }
  return `${at === 0 ? value : value.toFixed(1)} ${units[at]}`;
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
