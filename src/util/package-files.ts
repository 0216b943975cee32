// What lies beside the program in its package: files that are no code, and its version.

import { readFileSync } from "node:fs";

/** The same two folders up from `src/util` and from `dist/util`. */
export function packageFile(name: string): URL {
  return new URL(`../../${name}`, import.meta.url);
}

export function packageVersion(): string {
  return (JSON.parse(readFileSync(packageFile("package.json"), "utf8")) as { version: string }).version;
}
