// Every code that the program may give a person, read out of its source: of errors, of warnings, of uploads that fail.

import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";

const source = path.resolve(import.meta.dirname, "../../src");

/** Where a code stands, up to the next comma or closing bracket: there may be a choice of two. */
const places: readonly RegExp[] = [
  /\bnew (?:Tether|Protocol)Error\(\s*([^,)]+)/g,
  /\bsuper\(\s*("[a-z-]+")/g,
  /\b(?:raise|follow|warn|set)\(\s*("[a-z]+(?:-[a-z]+)+")/g,
  /\bcode: ("[a-z]+(?:-[a-z]+)*")/g,
  // copy-failure.ts
  /^ *\[?\s*("[a-z-]+"),\s*\/./gm,
];

export function codesInSource(): Set<string> {
  const codes = new Set<string>();
  for (const file of readdirSync(source, { recursive: true, encoding: "utf8" })) {
    if (!file.endsWith(".ts")) continue;
    const text = readFileSync(path.join(source, file), "utf8");
    for (const place of places)
      for (const [, found = ""] of text.matchAll(place))
        for (const [, code = ""] of found.matchAll(/"([a-z-]+)"/g)) codes.add(code);
  }
  return codes;
}
