import { mkdir, readFile, stat, utimes, writeFile } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "vitest";
import type { CacheFolder } from "../../src/static/cache-folder.js";
import { createLocalFolder } from "../../src/static/local-folder.js";
import { refreshFiles } from "../../src/static/refresh.js";
import { TetherError } from "../../src/util/errors.js";
import { temporaryFolder } from "../support/temp-folder.js";

const { signal } = new AbortController();
const narinfo = `${"a".repeat(32)}.narinfo`;
const names = ["nar/x.nar", narinfo];
const old = new Date(1_000_000);

async function oldFiles(): Promise<string> {
  const base = temporaryFolder();
  await mkdir(path.join(base, "nar"));
  for (const name of names) {
    await writeFile(path.join(base, name), name);
    await utimes(path.join(base, name), old, old);
  }
  return base;
}

test("where only the owner may set a file's time, a narinfo is put again, and its NAR stays as it is", async () => {
  const base = await oldFiles();
  const folder: CacheFolder = {
    ...createLocalFolder(base),
    touch: async () => Promise.reject(new TetherError("cache-forbidden", "not the owner")),
  };
  const began = Date.now();
  await refreshFiles(folder, names, { now: Date.now, check: () => undefined, signal });
  for (const name of names) expect(await readFile(path.join(base, name), "utf8")).toBe(name);
  expect((await stat(path.join(base, narinfo))).mtimeMs).toBeGreaterThan(began - 1_000);
  expect((await stat(path.join(base, "nar/x.nar"))).mtimeMs).toBe(old.getTime());
});

test("nothing is changed once it must not be", async () => {
  const base = await oldFiles();
  const check = (): void => {
    throw new Error("no more");
  };
  const refreshing = refreshFiles(createLocalFolder(base), names, { now: Date.now, check, signal });
  await expect(refreshing).rejects.toThrow("no more");
  for (const name of names) expect((await stat(path.join(base, name))).mtimeMs).toBe(old.getTime());
});
