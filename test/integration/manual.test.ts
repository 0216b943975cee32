// The manual page as the two programs read it that show manual pages: without a complaint, and with every command in it.

import { execFileSync, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { commandWords } from "../../src/cli/program.js";

const page = fileURLToPath(new URL("../../man/nix-tether.1", import.meta.url));

test("mandoc and groff have nothing to complain of", () => {
  const lint = spawnSync("mandoc", ["-T", "lint", "-W", "warning", page], { encoding: "utf8" });
  expect(lint).toMatchObject({ status: 0, stdout: "", stderr: "" });
  const groff = spawnSync("groff", ["-mandoc", "-ww", "-Tutf8", "-z", page], { encoding: "utf8" });
  expect(groff).toMatchObject({ status: 0, stdout: "", stderr: "" });
});

test("a reader finds every command and option", () => {
  const text = execFileSync("mandoc", ["-T", "ascii", page], { encoding: "utf8" })
    .split("\b")
    .map((part, index, parts) => (index < parts.length - 1 ? part.slice(0, -1) : part))
    .join("");
  for (const { name, options } of commandWords()) {
    expect(text).toMatch(new RegExp(`^ {5}nix-tether ${name}\\b`, "m"));
    for (const option of options) expect(text).toContain(option.name);
  }
});
