import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { manualPage } from "../../src/cli/manual/manual.js";
import { inline, prose, synopsis } from "../../src/cli/manual/mdoc.js";
import { commandWords } from "../../src/cli/program.js";

const read = (name: string): string => readFileSync(new URL(`../../${name}`, import.meta.url), "utf8");

test("man/nix-tether.1 is what the program gives (npm run docs writes it)", () => {
  const { version } = JSON.parse(read("package.json")) as { version: string };
  expect(read("man/nix-tether.1")).toBe(manualPage(commandWords(), version));
});

test("no text is taken for a macro, and each sentence has a line", () => {
  expect(prose(".local is\n'it'. So `a-b` \\n it is! And (so). on…")).toBe(
    "\\&.local is\n\\&'it'.\nSo \\fBa\\-b\\fP \\en it is!\nAnd (so). on\\[u2026]",
  );
  expect(inline('An "x". It')).toBe('No "An \\(dqx\\(dq. It"');
});

test("a command's words stand as one types them", () => {
  const wait = { name: "--wait", describe: "", value: null };
  const config = { name: "--config", describe: "", value: { name: "config", choices: [] } };
  const word = { describe: "", choices: [], required: true, many: false, dashed: false };
  const command = {
    name: "send",
    describe: "",
    notes: [],
    options: [wait, config],
    positionals: [
      { ...word, name: "way", choices: ["up", "down"] },
      { ...word, name: "paths", required: false, many: true },
      { ...word, name: "args", required: false, many: true, dashed: true },
    ],
  };
  expect(synopsis(command)).toBe(
    "Cm send Oo Fl -wait Oc Oo Fl -config Ar file Oc Bro Cm up | Cm down Brc Oo Ar path No ... Oc Oo Fl - Ar arg No ... Oc",
  );
});
