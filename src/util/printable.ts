// Text from outside (a remote host, Nix, mDNS) made safe for a terminal and for one line of a log.

import { stripVTControlCharacters } from "node:util";

// C0 and C1 controls, line and paragraph separators, and the marks that reorder text on a screen.
// oxlint-disable-next-line no-control-regex
const unsafe = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]+/g;

/** `text` on one line: without terminal escapes, and with every run of control characters as one space. */
export function printable(text: string): string {
  return stripVTControlCharacters(text).replace(unsafe, " ").trim();
}
