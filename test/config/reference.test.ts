import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { configKeys } from "../../src/config/keys.js";
import { referenceTables, tableMarkers, withReferenceTables } from "../../src/config/reference.js";

test("every key has a sentence, what it expects in words, and its default", () => {
  const keys = configKeys();
  expect(keys.map(({ path }) => path.join("."))).toContain("caches.NAME.identity-file");
  for (const key of keys) {
    expect(key.description, key.path.join(".")).toMatch(/\.$/);
    expect(key.expected, key.path.join(".")).not.toMatch(/^$|invalid/i);
  }
  expect(keys.find(({ path }) => path.join(".") === "gateway.port")).toEqual({
    path: ["gateway", "port"],
    kind: null,
    expected: "a whole number from 1 to 65535",
    fallback: "37515",
    required: false,
    description: "Port of the gateway on 127.0.0.1.",
  });
  expect(keys.filter(({ required }) => required).map(({ path }) => path.join("."))).toEqual([
    "caches.NAME.host",
    "caches.NAME.ways[].host",
    "caches.NAME.type",
    "caches.NAME.url",
    "caches.NAME.ways[].url",
    "static.NAME.path",
    "farms.NAME.repository",
    "farms.NAME.attributes",
  ]);
});

test("every table has a sentence", () => {
  const sections = referenceTables().split(/^(?=## )/m);
  expect(sections.map((section) => section.split("\n")[0])).toEqual(
    expect.arrayContaining([
      "## `[caches.NAME]`",
      "## `[[caches.NAME.ways]]`",
      '## `[caches.NAME]` with `type = "http"`',
    ]),
  );
  for (const section of sections)
    expect(section).toMatch(/^## `\[\[?[a-zA-Z.-]+\]\]?`( with `type = "http"`)?\n\n.+\.\n\n\| Key /);
});

test("the tables replace what stands between the markers, and nothing else", () => {
  const { begin, end } = tableMarkers;
  expect(withReferenceTables(`a\n${begin}\nold\n${end}\nb\n`)).toBe(
    `a\n${begin}\n\n${referenceTables()}\n\n${end}\nb\n`,
  );
  expect(withReferenceTables("no markers")).toBeNull();
});

test("docs/configuration.md holds the present tables (npm run docs rewrites them)", () => {
  const page = readFileSync(new URL("../../docs/configuration.md", import.meta.url), "utf8");
  expect(withReferenceTables(page)).toBe(page);
});
