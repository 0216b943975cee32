// Writes what the documentation has from the program itself: the manual page, and the tables of configuration keys. Run it
// after `npm run build`; a test compares.

import { readFileSync, writeFileSync } from "node:fs";
import { manualPage } from "../dist/cli/manual/manual.js";
import { commandWords } from "../dist/cli/program.js";
import { tableMarkers, withReferenceTables } from "../dist/config/reference.js";

const at = (name) => new URL(`../${name}`, import.meta.url);
const { version } = JSON.parse(readFileSync(at("package.json"), "utf8"));

const keys = "docs/configuration.md";
const page = withReferenceTables(readFileSync(at(keys), "utf8"));
if (page === null) {
  process.stderr.write(`${keys} has no ${tableMarkers.begin} and ${tableMarkers.end}\n`);
  process.exit(1);
}
writeFileSync(at(keys), page);
writeFileSync(at("man/nix-tether.1"), manualPage(commandWords(), version));
