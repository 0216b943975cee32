// Why a `nix copy` failed, by what it said: pure. The texts are those of Nix 2.8, 2.26 and 2.34 with LC_ALL=C.

import { stripVTControlCharacters } from "node:util";
import { isStorePath } from "../protocol/store-path.js";

/**
 * `unsigned`: the target trusts neither the login nor a signature. `path-gone`: its files are not here any more.
 * `target-full`, `target-read-only`. `link-lost`: the target's nix-daemon went away. `copy-failed`: anything else.
 */
export type CopyFailureCode =
  "unsigned" | "path-gone" | "target-full" | "target-read-only" | "link-lost" | "copy-failed";

export interface CopyFailure {
  readonly code: CopyFailureCode;
  /** In Nix's words. */
  readonly text: string;
  /** The path that it is about, where it says so. */
  readonly path: string | null;
}

/** The first that fits counts: a cause is often followed by a connection that breaks. */
const patterns: readonly [CopyFailureCode, RegExp][] = [
  ["unsigned", /lacks a (valid signature|signature by a trusted key)/],
  ["target-full", /No space left on device|Disk quota exceeded|database or disk is full/],
  ["target-read-only", /Read-only file system|readonly database|remounting .* writable/],
  ["path-gone", /getting status of '|path '[^']*' does not exist/],
  [
    "link-lost",
    /cannot (connect to socket|open connection)|Connection (reset|refused)|end-of-file|disconnected unexpectedly|Broken pipe|previously failed/,
  ],
];

/** The most that is kept of what Nix said. */
const maxChars = 1_000;

/** Takes the end of what `nix copy` wrote to stderr apart. */
export function copyFailure(stderr: string): CopyFailure {
  const lines = stripVTControlCharacters(stderr)
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !/^(copying |warning: |error \(ignored\))/.test(line));
  for (const [code, pattern] of patterns) {
    const line = lines.find((one) => pattern.test(one));
    if (line !== undefined) return { code, text: line.slice(0, maxChars), path: pathIn(line) };
  }
  const text = lines.join(" ").slice(-maxChars) || "nix copy said nothing";
  return { code: "copy-failed", text, path: null };
}

/** The first store path in a line; 2.26 and 2.34 put slashes around it. */
function pathIn(line: string): string | null {
  for (const [, path = ""] of line.matchAll(/\/?(\/nix\/store\/[^/'"\s]+)/g))
    if (isStorePath(path)) return path;
  return null;
}

/** What a failure means, before Nix's own words; `target` is the cache's name. */
const meanings: Partial<Record<CopyFailureCode, (target: string) => string>> = {
  "target-full": (target) => `${target} has no room left`,
  "target-read-only": (target) => `the store of ${target} can not be written to`,
  "path-gone": () =>
    "its files are missing here, though Nix takes it for valid; once nix-store --repair-path has mended that: nix-tether queue retry",
};

/** A failure in words for a person. */
export function explainFailure({ code, text }: CopyFailure, target: string): string {
  const meaning = meanings[code]?.(target);
  return meaning === undefined ? text : `${meaning} (${text})`;
}
