// Words of the far machine, fit for a message: it may be a stranger's, and may say anything at any length.

import { printable } from "../util/printable.js";

const MAX_CHARS = 300;

/** On one line, without control characters, at most 300 characters. */
export function brief(text: string): string {
  const line = printable(text.slice(0, MAX_CHARS * 4));
  return line.length > MAX_CHARS ? `${line.slice(0, MAX_CHARS - 1)}…` : line;
}
