// Rewrites the table of configuration keys in README.md from the compiled schema: run it after `npm run build`.

import { readFileSync, writeFileSync } from "node:fs";
import { tableMarkers, withReferenceTable } from "../dist/config/reference.js";

const readme = new URL("../README.md", import.meta.url);
const before = readFileSync(readme, "utf8");
const after = withReferenceTable(before);
if (after === null) {
  process.stderr.write(`README.md has no ${tableMarkers.begin} and ${tableMarkers.end}\n`);
  process.exit(1);
}
if (after !== before) writeFileSync(readme, after);
