import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "vitest";
import { checkCache, makeCache, requireCache } from "../../src/static/cache-info.js";
import { createLocalFolder } from "../../src/static/local-folder.js";
import { temporaryFolder } from "../support/temp-folder.js";

const { signal } = new AbortController();

test("an empty folder, and one that is not there, may become a cache, and is none yet", async () => {
  const base = path.join(temporaryFolder(), "cache");
  const folder = createLocalFolder(base);
  expect(await checkCache(folder, signal)).toBe(false);
  await expect(requireCache(folder, signal)).rejects.toMatchObject({ code: "not-a-cache" });
  await mkdir(path.join(base, "nar"), { recursive: true });
  expect(await checkCache(folder, signal)).toBe(false);
  await makeCache(folder, signal);
  expect(await readFile(path.join(base, "nix-cache-info"), "utf8")).toContain("StoreDir: /nix/store\n");
  expect(await checkCache(folder, signal)).toBe(true);
  await requireCache(folder, signal);
});

test("one with other files, and one for another store, is none", async () => {
  const base = temporaryFolder();
  const folder = createLocalFolder(base);
  await writeFile(path.join(base, "thesis.tex"), "");
  await expect(checkCache(folder, signal)).rejects.toThrow(/holds "thesis.tex"/);
  await writeFile(path.join(base, "nix-cache-info"), "StoreDir: /gnu/store\n");
  await expect(checkCache(folder, signal)).rejects.toThrow(/for the store \/gnu\/store/);
  await expect(requireCache(folder, signal)).rejects.toThrow(/for the store \/gnu\/store/);
  await writeFile(path.join(base, "nix-cache-info"), "Priority: 30\n");
  await requireCache(folder, signal);
});
