import { readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import path from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { beginCollection, beginPush, staleMs, type ActivityOptions } from "../../src/static/activity.js";
import type { CacheFolder } from "../../src/static/cache-folder.js";
import { collectionLockName, pushMarkPrefix } from "../../src/static/cache-names.js";
import { createLocalFolder } from "../../src/static/local-folder.js";
import { temporaryFolder } from "../support/temp-folder.js";

function options(more: Partial<ActivityOptions> = {}): ActivityOptions {
  return { signal: new AbortController().signal, waitMs: 0, onWait: () => undefined, ...more };
}

test("two pushes go on beside each other, and leave nothing", async () => {
  const base = temporaryFolder();
  const folder = createLocalFolder(base);
  const both = await Promise.all([beginPush(folder, options()), beginPush(folder, options())]);
  expect(await readdir(base)).toHaveLength(2);
  expect(both.every((one) => one.isHeld())).toBe(true);
  for (const one of both) await one.end();
  expect(await readdir(base)).toEqual([]);
});

test("a push waits for a collection and begins when that has ended", async () => {
  const base = temporaryFolder();
  const folder = createLocalFolder(base);
  const collection = await beginCollection(folder, options());
  const onWait = vi.fn<(who: string) => void>();
  const push = beginPush(folder, options({ waitMs: 20_000, onWait }));
  await expect.poll(() => onWait.mock.calls).toHaveLength(1);
  expect(onWait.mock.calls[0]?.[0]).toMatch(/^gc by .*@.*, process \d+/);
  // While it waits, no collection waits for it.
  expect(await readdir(base)).toEqual([collectionLockName]);
  await collection.end();
  await (await push).end();
  expect(await readdir(base)).toEqual([]);
});

test("a push gives up where the collection is longer than it waits", async () => {
  const folder = createLocalFolder(temporaryFolder());
  const collection = await beginCollection(folder, options());
  await expect(beginPush(folder, options())).rejects.toMatchObject({ code: "cache-busy" });
  await collection.end();
});

test("a collection gives up where a push goes on, and leaves no lock behind", async () => {
  const base = temporaryFolder();
  const folder = createLocalFolder(base);
  const push = await beginPush(folder, options());
  await expect(beginCollection(folder, options())).rejects.toMatchObject({
    code: "cache-busy",
    message: expect.stringContaining("push by") as string,
  });
  expect((await readdir(base)).map((name) => name.startsWith(pushMarkPrefix))).toEqual([true]);
  await push.end();
});

test("of a push and a collection that begin at once one waits for the other, and both come through", async () => {
  const folder = createLocalFolder(temporaryFolder());
  let now = 0;
  const alone = async (begin: typeof beginPush): Promise<void> => {
    const one = await begin(folder, options({ waitMs: 20_000 }));
    now += 1;
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(now).toBe(1);
    now -= 1;
    await one.end();
  };
  await Promise.all([alone(beginPush), alone(beginCollection)]);
});

test("what nobody has touched for long is of the dead, whatever the clocks of the machines say", async () => {
  const base = temporaryFolder();
  const folder = createLocalFolder(base);
  const old = new Date(Date.now() - staleMs - 1_000);
  for (const name of [collectionLockName, `${pushMarkPrefix}dead`]) {
    await writeFile(path.join(base, name), "{}");
    await utimes(path.join(base, name), old, old);
  }
  const dayOff = (): number => Date.now() + 86_400_000;
  const collection = await beginCollection(folder, options({ now: dayOff }));
  expect(Math.abs(collection.now() - Date.now())).toBeLessThan(60_000);
  await collection.end();
});

test("who has slept for long is held for dead, for good", async () => {
  const folder = createLocalFolder(temporaryFolder());
  let slept = 0;
  const push = await beginPush(folder, options({ now: () => Date.now() + slept }));
  expect(push.isHeld()).toBe(true);
  slept = staleMs;
  expect(push.isHeld()).toBe(false);
  slept = 0;
  expect(push.isHeld()).toBe(false);
  await push.end();
});

/** Marks are touched only by calling what this returns. */
function beats(): () => void {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  onTestFinished(() => void vi.useRealTimers());
  return () => void vi.advanceTimersByTime(30_000);
}

test("a lock that others have taken over meanwhile stays theirs", async () => {
  const base = temporaryFolder();
  const folder = createLocalFolder(base);
  const lock = path.join(base, collectionLockName);
  const beat = beats();
  const first = await beginCollection(folder, options());
  const old = new Date(Date.now() - staleMs - 1_000);
  await utimes(lock, old, old);
  const second = await beginCollection(folder, options());
  const theirs = await readFile(lock, "utf8");
  beat();
  await expect.poll(() => first.isHeld()).toBe(false);
  expect(second.isHeld()).toBe(true);
  await first.end();
  expect(await readFile(lock, "utf8")).toBe(theirs);
  await expect(beginPush(folder, options())).rejects.toMatchObject({ code: "cache-busy" });
  await second.end();
  expect(await readdir(base)).toEqual([]);
});

test("a push whose mark was taken away holds nothing", async () => {
  const base = temporaryFolder();
  const beat = beats();
  const push = await beginPush(createLocalFolder(base), options());
  for (const name of await readdir(base)) await rm(path.join(base, name));
  beat();
  await expect.poll(() => push.isHeld()).toBe(false);
  await push.end();
});

test("a beat that comes to its turn after a sleep leaves the time as it is", async () => {
  const base = temporaryFolder();
  const real = createLocalFolder(base);
  const beat = beats();
  let slept = 0;
  let beaten: Promise<void> | null = null;
  const folder: CacheFolder = {
    ...real,
    touch: (...args) => {
      slept = staleMs;
      return (beaten = real.touch(...args));
    },
  };
  const collection = await beginCollection(folder, options({ now: () => Date.now() + slept }));
  const recent = new Date(Date.now() - 60_000);
  await utimes(path.join(base, collectionLockName), recent, recent);
  beat();
  await expect.poll(() => beaten !== null).toBe(true);
  await expect(beaten).rejects.toThrow("somebody else's");
  expect((await stat(path.join(base, collectionLockName))).mtimeMs).toBeCloseTo(recent.getTime(), 0);
  await collection.end();
});

test("an empty lock is somebody's until it is old", async () => {
  const base = temporaryFolder();
  const folder = createLocalFolder(base);
  const lock = path.join(base, collectionLockName);
  await writeFile(lock, "");
  await expect(beginPush(folder, options())).rejects.toMatchObject({
    code: "cache-busy",
    message: expect.stringContaining("a gc that has not said whose it is") as string,
  });
  const old = new Date(Date.now() - staleMs - 1_000);
  await utimes(lock, old, old);
  await (await beginCollection(folder, options())).end();
  expect(await readdir(base)).toEqual([]);
});
