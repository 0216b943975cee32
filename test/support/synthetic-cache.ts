// Static caches that a test makes up: as what the program reads of one, and as files in a folder.

import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, utimes, writeFile } from "node:fs/promises";
import path from "node:path";
import { formatNarinfo } from "../../src/protocol/narinfo.js";
import { encodeNix32, nix32FromHex } from "../../src/protocol/nix32.js";
import type { Inventory } from "../../src/static/inventory.js";
import { inParallel } from "../../src/util/in-parallel.js";
import { Random } from "./random.js";

/** A path, by a short name of the test's. Times are in days before `cacheTime`. */
export interface MadeUpPath {
  readonly name: string;
  readonly refs?: readonly string[];
  readonly narinfoDays: number;
  readonly narDays: number;
  /** The path whose NAR it shares; by default none. */
  readonly narOf?: string;
  readonly narBytes?: number;
  readonly narMissing?: boolean;
  /** Replaces the text of the narinfo. */
  readonly text?: string;
}

/** "Now", in milliseconds since the epoch. */
export const cacheTime = Date.now();

const dayMs = 86_400_000;

export function daysAgo(days: number): number {
  return cacheTime - days * dayMs;
}

export function hashPartFor(name: string): string {
  return encodeNix32(createHash("sha256").update(name).digest().subarray(0, 20));
}

export function storePathFor(name: string): string {
  return `/nix/store/${hashPartFor(name)}-${name}`;
}

function narBytesOf({ name, narOf, narBytes = 100 }: MadeUpPath): Buffer {
  return Buffer.from((narOf ?? name).padEnd(narBytes, "."));
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

export function narNameFor(one: MadeUpPath): string {
  return `nar/${nix32FromHex(sha256(narBytesOf(one)))}.nar`;
}

export function narinfoTextFor(one: MadeUpPath): string {
  if (one.text !== undefined) return one.text;
  const nar = narBytesOf(one);
  const info = {
    path: storePathFor(one.name),
    narHash: sha256(nar),
    narSize: nar.length,
    references: (one.refs ?? []).map(storePathFor),
    deriver: null,
    signatures: [],
    ca: null,
  };
  return formatNarinfo(info, narNameFor(one));
}

/** Writes them below `folder`, with their times. */
export async function writeCache(folder: string, paths: readonly MadeUpPath[]): Promise<void> {
  await mkdir(path.join(folder, "nar"), { recursive: true });
  await writeFile(path.join(folder, "nix-cache-info"), "StoreDir: /nix/store\n");
  const write = async (name: string, content: string | Buffer, days: number): Promise<void> => {
    const file = path.join(folder, name);
    await writeFile(file, content);
    await utimes(file, daysAgo(days) / 1000, daysAgo(days) / 1000);
  };
  await inParallel(paths, 32, async (one) => {
    await write(`${hashPartFor(one.name)}.narinfo`, narinfoTextFor(one), one.narinfoDays);
    // A shared one was there before.
    if (one.narMissing !== true && one.narOf === undefined)
      await write(narNameFor(one), narBytesOf(one), one.narDays);
  });
}

/** What the program would read of them. */
export function inventoryOf(made: readonly MadeUpPath[]): Inventory {
  const nars: Inventory["nars"] = new Map(
    made
      .filter(({ narMissing }) => narMissing !== true)
      .map((one) => {
        const name = narNameFor(one);
        return [name, { name, size: narBytesOf(one).length, modifiedAt: daysAgo(one.narDays) }];
      }),
  );
  const paths: Inventory["paths"] = new Map(
    made.map((one) => {
      const hashPart = hashPartFor(one.name);
      const file = { name: `${hashPart}.narinfo`, size: 300, modifiedAt: daysAgo(one.narinfoDays) };
      const references = (one.refs ?? []).map(hashPartFor).filter((ref) => ref !== hashPart);
      const facts = { hashPart, file, listing: null, references, nars: [narNameFor(one)] };
      return [hashPart, { ...facts, narinfo: null, problem: one.text === undefined ? null : "torn" }];
    }),
  );
  return { paths, nars, leftovers: [] };
}

/**
 * A cache as one that is pushed to for a month: later paths refer to earlier ones, a few of these to be found everywhere,
 * and some have the content of the first.
 */
export function pushedForAMonth(count: number, seed: string): MadeUpPath[] {
  const random = new Random(seed);
  return Array.from({ length: count }, (_, index): MadeUpPath => {
    const days = 30 * (1 - index / count);
    const some = index === 0 ? 0 : random.between(0, 5);
    const refs = Array.from({ length: some }, () =>
      // What many need is among the first.
      random.chance(0.5) ? random.between(0, Math.min(index - 1, 50)) : random.between(0, index - 1),
    );
    const shares = index > 0 && random.chance(0.03);
    return {
      name: `path-${index}`,
      refs: [...new Set(refs)].map((at) => `path-${at}`),
      narinfoDays: days,
      narDays: days,
      ...(shares ? { narOf: "path-0" } : {}),
    };
  });
}

/** The names of the narinfos in a folder whose NAR or one of whose references is missing, found without the program. */
export async function brokenNarinfos(folder: string): Promise<string[]> {
  const there = new Set(await readdir(folder));
  const nars = new Set((await readdir(path.join(folder, "nar"))).map((name) => `nar/${name}`));
  const broken: string[] = [];
  const narinfos = [...there].filter((name) => name.endsWith(".narinfo"));
  await inParallel(narinfos, 32, async (name) => {
    const text = await readFile(path.join(folder, name), "utf8");
    const [, nar = ""] = /^URL: (.*)$/m.exec(text) ?? [];
    const [, references = ""] = /^References: (.*)$/m.exec(text) ?? [];
    const missing = references
      .split(" ")
      .some((one) => one !== "" && !there.has(`${one.slice(0, 32)}.narinfo`));
    if (missing || !nars.has(nar)) broken.push(name);
  });
  return broken;
}
