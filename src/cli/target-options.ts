// What the options of the commands about static caches say.

import { parseDuration } from "../config/duration.js";
import { parseSize } from "../config/size.js";
import { TetherError } from "../util/errors.js";

/** Long enough for a push of some size: ten minutes. */
const defaultWaitMs = 10 * 60_000;

/** How long to wait for a cache that is in use, in milliseconds. @throws TetherError `usage` */
export function waitOf(text: string | undefined): number {
  if (text === "0" || text === "0s") return 0;
  return durationOf("wait", text) ?? defaultWaitMs;
}

/** Milliseconds; null where the option is not given. @throws TetherError `usage` */
export function durationOf(option: string, text: string | undefined): number | null {
  return optional(option, text, parseDuration, '"14d", "12h" or "10min"');
}

/** Bytes; null where the option is not given. @throws TetherError `usage` */
export function sizeOf(option: string, text: string | undefined): number | null {
  return optional(option, text, parseSize, '"500G" or "2T"');
}

function optional(
  option: string,
  text: string | undefined,
  parse: (text: string) => number | null,
  such: string,
): number | null {
  if (text === undefined) return null;
  const value = parse(text);
  if (value !== null) return value;
  throw new TetherError("usage", `--${option} ${JSON.stringify(text)} is not understood`, {
    remedy: `Write it like ${such}.`,
  });
}
