import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { codesInSource } from "../support/error-codes.js";

test("docs/troubleshooting.md explains every code of the program, each once, and no other", () => {
  const page = readFileSync(new URL("../../docs/troubleshooting.md", import.meta.url), "utf8");
  const explained = [...page.matchAll(/^(?:### |\| )`([a-z-]+)`/gm)].map(([, code = ""]) => code);
  expect(explained.toSorted()).toEqual([...codesInSource()].toSorted());
});
