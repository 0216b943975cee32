import { createHash } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { Readable } from "node:stream";
import { expect, test } from "vitest";
import { SftpError } from "../../src/link/sftp-channel.js";
import type { CacheFolder } from "../../src/static/cache-folder.js";
import { checkContents } from "../../src/static/contents.js";
import { folderError } from "../../src/static/failures.js";
import { readInventory } from "../../src/static/inventory.js";
import { createLocalFolder } from "../../src/static/local-folder.js";
import { isBroken } from "../../src/static/problems.js";
import { hashPartFor, narNameFor, narinfoTextFor, writeCache } from "../support/synthetic-cache.js";
import { temporaryFolder } from "../support/temp-folder.js";

const { signal } = new AbortController();
const one = { name: "one", narinfoDays: 1, narDays: 1 };

/** What is found, and whether it is removed, after `then` has come between the look at the names and that at the NARs. */
async function check(
  then: (base: string) => Promise<void>,
  { text, openRead }: { readonly text?: string } & Partial<CacheFolder> = {},
): Promise<[kind: string, broken: boolean][]> {
  const base = temporaryFolder();
  await writeCache(base, [{ ...one, ...(text === undefined ? {} : { text }) }]);
  const local = createLocalFolder(base);
  const folder = { ...local, openRead: openRead ?? local.openRead };
  const inventory = await readInventory(folder, { signal, onRead: () => undefined });
  await then(base);
  const { problems } = await checkContents(folder, inventory, {
    env: process.env,
    signal,
    onProgress: () => undefined,
  });
  return problems.map((problem) => [problem.kind, isBroken(problem)]);
}

const nothing = async (): Promise<void> => undefined;

test("what is collected meanwhile is no problem, and no end of the check", async () => {
  expect(await check(nothing)).toEqual([]);
  const remove = (base: string, ...names: string[]): Promise<void[]> =>
    Promise.all(names.map((name) => rm(path.join(base, name))));
  const narinfo = `${hashPartFor("one")}.narinfo`;
  expect(await check(async (base) => void (await remove(base, narNameFor(one), narinfo)))).toEqual([]);
  expect(await check(async (base) => void (await remove(base, narNameFor(one))))).toEqual([
    ["missing-nar", true],
  ]);
});

test("what a disk there fails to read is told, and stays", async () => {
  const failing = (error: unknown): Readable =>
    new Readable({ read: () => undefined }).destroy(error as Error);
  const fault = folderError("failed", "can not read it", new SftpError("failure", "Failure"));
  expect(await check(nothing, { openRead: () => failing(fault) })).toEqual([["unreadable-nar", false]]);
  const cut = folderError("unreachable", "the link was cut", new Error("cut"));
  await expect(check(nothing, { openRead: () => failing(cut) })).rejects.toBe(cut);
});

test("a file with its hash is not condemned by a program that fails", async () => {
  const garbage = "no xz at all";
  const hash = createHash("sha256").update(garbage).digest("hex");
  const untold = narinfoTextFor(one)
    .replace(/^File.*\n/gm, "")
    .replace(/^Compression: .*$/m, "Compression: xz");
  const write = (base: string): Promise<void> => writeFile(path.join(base, narNameFor(one)), garbage);
  expect(await check(write, { text: `${untold}FileHash: sha256:${hash}\n` })).toEqual([
    ["undecompressed-nar", false],
  ]);
  expect(await check(write, { text: untold })).toEqual([["wrong-nar", true]]);
});
