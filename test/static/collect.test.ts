import { readdir, rm } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "vitest";
import type { Activity } from "../../src/static/activity.js";
import { collect, type Collected } from "../../src/static/collect.js";
import { fsckCache } from "../../src/static/fsck.js";
import { createLocalFolder } from "../../src/static/local-folder.js";
import { brokenNarinfos, cacheTime, pushedForAMonth, writeCache } from "../support/synthetic-cache.js";
import { temporaryFolder } from "../support/temp-folder.js";

const day = 86_400_000;
const { signal } = new AbortController();

interface Alone extends Activity {
  readonly ended: () => number;
}

function alone(now = cacheTime, isHeld = (): boolean => true): Alone {
  let ends = 0;
  return { now: () => now, isHeld, end: async () => void (ends += 1), ended: () => ends };
}

function collectOld(
  folder: string,
  activity: Alone | null,
  { now = cacheTime, maxBytes = null }: { now?: number; maxBytes?: number | null } = {},
): Promise<Collected> {
  return collect(createLocalFolder(folder), {
    olderThanMs: 14 * day,
    maxBytes,
    pins: [],
    enter: activity && (async () => activity),
    signal,
    now: () => now,
    onProgress: () => undefined,
  });
}

async function cache(count = 60): Promise<string> {
  const folder = temporaryFolder();
  await writeCache(folder, pushedForAMonth(count, "collect"));
  return folder;
}

test("of two clocks that differ, the one counts by which less goes", async () => {
  const folder = await cache();
  const ahead = cacheTime + 400 * day;
  for (const [here, there] of [
    [ahead, cacheTime - 40 * day],
    [cacheTime - 40 * day, ahead],
  ] as const) {
    const { removed } = await collectOld(folder, alone(there), { now: here });
    expect(removed?.files).toBe(0);
  }
  expect((await collectOld(folder, alone())).removed?.files).toBeGreaterThan(1);
});

test("a dry run removes nothing, and says what a real one does", async () => {
  const folder = await cache();
  const before = await readdir(folder);
  const dry = await collectOld(folder, null);
  expect(dry.removed).toBeNull();
  expect(await readdir(folder)).toEqual(before);
  const activity = alone();
  const real = await collectOld(folder, activity);
  expect(real.plan.batches).toEqual(dry.plan.batches);
  expect(real.removed).toEqual({ files: real.plan.batches.flat().length, bytes: real.plan.bytes.removed });
  expect(activity.ended()).toBe(1);
});

test("ended at any moment, the cache is whole, and is let go of", async () => {
  for (let most = 0; most < 100; most += 7) {
    const folder = await cache();
    let asked = 0;
    const activity = alone(cacheTime, () => (asked += 1) <= most);
    await expect(collectOld(folder, activity, { maxBytes: 1_000 })).rejects.toMatchObject({
      code: "cache-busy",
    });
    expect(await brokenNarinfos(folder)).toEqual([]);
    expect(activity.ended()).toBe(1);
  }
});

test("a cache whose NARs are all gone is left as it is", async () => {
  const folder = await cache();
  await rm(path.join(folder, "nar"), { recursive: true });
  const before = await readdir(folder);
  await expect(collectOld(folder, alone())).rejects.toMatchObject({ code: "nars-missing" });
  const options = { env: {}, full: false, publicKeys: null, signal, now: () => cacheTime };
  const repair = fsckCache(createLocalFolder(folder), {
    ...options,
    enter: async () => alone(),
    onProgress: () => undefined,
  });
  await expect(repair).rejects.toMatchObject({ code: "nars-missing" });
  expect(await readdir(folder)).toEqual(before);
});
