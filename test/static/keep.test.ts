import { expect, test } from "vitest";
import { readInventory } from "../../src/static/inventory.js";
import { parsePin, pinnedPaths } from "../../src/static/keep.js";
import { createLocalFolder } from "../../src/static/local-folder.js";
import { hashPartFor, storePathFor, writeCache } from "../support/synthetic-cache.js";
import { temporaryFolder } from "../support/temp-folder.js";

test("a path, its hash, and a pattern for names; what fits nothing is told", async () => {
  const folder = temporaryFolder();
  const names = ["nixos-system-pi", "hello-2.10", "hello-2.12", "glibc"];
  await writeCache(
    folder,
    names.map((name) => ({ name, narinfoDays: 1, narDays: 1 })),
  );
  const inventory = await readInventory(createLocalFolder(folder), { signal: new AbortController().signal });
  const pinned = (...words: string[]): string[] => {
    const { hashParts } = pinnedPaths(inventory, words.map(parsePin));
    return names.filter((name) => hashParts.has(hashPartFor(name)));
  };
  expect(pinned("hello-*")).toEqual(["hello-2.10", "hello-2.12"]);
  expect(pinned("hello")).toEqual([]);
  expect(pinned(storePathFor("glibc"), hashPartFor("nixos-system-pi"))).toEqual(["nixos-system-pi", "glibc"]);
  expect(pinned(storePathFor("hello-2.10").slice("/nix/store/".length))).toEqual(["hello-2.10"]);
  expect(pinnedPaths(inventory, ["glibc", "gilbc"].map(parsePin)).unused).toEqual(["gilbc"]);
});

test.each(["", "a/b", "/nix/store/x", "hello 2", "ä"])("%j is refused", (word) => {
  expect(() => parsePin(word)).toThrow(/names nothing that could be kept/);
});
