// The documentation against the program: its links lead somewhere, its commands exist, its configurations load.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { commandWords } from "../../src/cli/program.js";
import { loadConfig } from "../../src/config/load.js";
import { isThere, readPages, resolveLink } from "../support/markdown.js";
import { temporaryFolder } from "../support/temp-folder.js";

const pages = readPages();
const commands = new Map(commandWords().map((command) => [command.name, command]));

describe.each(pages)("$name", (page) => {
  test("its links lead to something", () => {
    const dead = page.links.filter((link) => {
      const target = resolveLink(page, link);
      if (target === null) return false;
      const { file, anchor } = target;
      if (!isThere(file)) return true;
      const there = pages.find(({ name }) => name === file);
      return anchor !== null && there?.anchors.has(anchor) !== true;
    });
    expect(dead).toEqual([]);
  });

  test("it knows the program's commands and options", () => {
    const lines = [...page.spans, ...page.blocks.flatMap(({ text }) => text.split("\n"))];
    const calls = lines.flatMap((line) => [
      ...line.replace(/#.*/, "").matchAll(/(?:^|[ (])nix-tether ([a-z][a-z-]*)((?: [^|>;)]*)?)/g),
    ]);
    const wrong = calls.filter(([, name = "", rest = ""]) => {
      const command = commands.get(name);
      const options = [...rest.matchAll(/--[a-z-]+/g)].map(([option]) => option);
      const known = command?.options.map((option) => option.name) ?? [];
      return (
        command === undefined || !options.every((option) => option === "--help" || known.includes(option))
      );
    });
    expect(wrong.map(([call]) => call)).toEqual([]);
  });

  test("the configurations that it shows can be loaded", async () => {
    const home = temporaryFolder();
    mkdirSync(path.join(home, ".config/nix"), { recursive: true });
    for (const { language, text } of page.blocks) {
      if (language !== "toml") continue;
      for (const [, key = ""] of text.matchAll(/signing-key = "~\/(.*)"/g))
        writeFileSync(path.join(home, key), "");
      const whole = text.includes("[caches.") ? text : `[caches.pi]\nhost = "pi.local"\n${text}`;
      const file = path.join(home, "config.toml");
      writeFileSync(file, whole.replace(/PASTE-THE-LINE[A-Z-]*/g, "AAAA"));
      await expect(loadConfig(file, home), text).resolves.toBeDefined();
    }
  });
});

test("every page of docs/ can be found from the README", () => {
  const found = new Set<string>();
  const follow = (name: string): void => {
    if (found.has(name)) return;
    found.add(name);
    const page = pages.find((one) => one.name === name);
    if (page === undefined) return;
    for (const link of page.links) follow(resolveLink(page, link)?.file ?? name);
  };
  follow("README.md");
  expect(pages.map(({ name }) => name).filter((name) => !found.has(name) && name !== "CHANGELOG.md")).toEqual(
    [],
  );
});
