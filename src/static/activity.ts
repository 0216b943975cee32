// Keeps a push and a collection of one static cache out of each other's way, by files in its folder: each push leaves a mark
// and then looks for a collection's lock; a collection takes its lock and then looks for marks. So one of them sees the
// other. Times are those of the folder's own clock, for the machines that push may disagree about the time.

import { randomBytes } from "node:crypto";
import { hostname, userInfo } from "node:os";
import { delay } from "../util/abort.js";
import { TetherError, messageOf } from "../util/errors.js";
import { printable } from "../util/printable.js";
import type { CacheFolder } from "./cache-folder.js";
import { collectionLockName, pushMarkPrefix } from "./cache-names.js";

/** A push or a collection that has begun. */
export interface Activity {
  /** Now by the folder's clock, in milliseconds since the epoch. */
  now(): number;
  /** Whether others still respect it: false after a sleep or a cut that was so long that they may take it for dead. */
  isHeld(): boolean;
  /** Takes the mark away. Never rejects. */
  end(): Promise<void>;
}

export interface ActivityOptions {
  readonly signal: AbortSignal;
  /** How long to wait for the others, in milliseconds. */
  readonly waitMs: number;
  /** Told once where there is something to wait for: who it is. */
  readonly onWait: (who: string) => void;
  /** By default the clock of this machine. */
  readonly now?: () => number;
}

/** A mark that nobody has touched for so many milliseconds is of somebody who died. */
export const staleMs = 10 * 60_000;

const beatMs = 30_000;
const lookMs = 1_000;

/** A push that has seen a collection takes its mark away within this. */
const yieldMs = 5_000;
const endMs = 5_000;
const maxMarkBytes = 4_096;

/** What is left in the folder: a file of this name, with this content. */
interface Mark {
  readonly name: string;
  readonly content: Buffer;
}

/** Rejects with `cache-busy` where a collection goes on for longer than the wait. The folder must be there. */
export async function beginPush(folder: CacheFolder, options: ActivityOptions): Promise<Activity> {
  const deadline = Date.now() + options.waitMs;
  const name = `${pushMarkPrefix}${randomBytes(8).toString("hex")}`;
  const mark = { name, content: markText("push", name) };
  for (let waited = false; ;) {
    await folder.put(name, mark.content, { signal: options.signal });
    const clock = await clockOf(folder, name, options);
    if (!(await isLive(folder, collectionLockName, clock, options.signal)))
      return hold(folder, mark, clock, options);
    // Two that wait for each other would do so until one gives up.
    await folder.remove(name, options.signal);
    const who = await ownerOf(folder, collectionLockName, options.signal);
    if (!waited) options.onWait(who);
    waited = true;
    while (await isLive(folder, collectionLockName, clock, options.signal)) {
      if (Date.now() >= deadline) throw busy(folder, who);
      await delay(lookMs, options.signal);
    }
  }
}

/** Rejects with `cache-busy` where a push or another collection goes on for longer than the wait. */
export async function beginCollection(folder: CacheFolder, options: ActivityOptions): Promise<Activity> {
  const { signal, waitMs } = options;
  const deadline = Date.now() + waitMs;
  const token = randomBytes(8).toString("hex");
  const lock = { name: collectionLockName, content: markText("gc", token) };
  let told = false;
  const wait = async (who: string, least: number): Promise<void> => {
    if (Date.now() >= Math.max(deadline, least)) throw busy(folder, who);
    if (!told && Date.now() >= least) options.onWait(who);
    told ||= Date.now() >= least;
    await delay(lookMs, signal);
  };
  while (!(await takeLock(folder, lock, `${pushMarkPrefix}${token}.clock`, options)))
    await wait(await ownerOf(folder, collectionLockName, signal), 0);
  const clock = await clockOf(folder, collectionLockName, options);
  const held = hold(folder, lock, clock, options);
  try {
    const least = Date.now() + yieldMs;
    const names = (await folder.list("", signal)).map((entry) => entry.name);
    for (const name of names.filter((one) => one.startsWith(pushMarkPrefix)))
      while (await isLive(folder, name, clock, signal))
        await wait(await ownerOf(folder, name, signal), least);
    return held;
  } catch (error) {
    await held.end();
    throw error;
  }
}

/** Whether the lock is ours now. One of somebody who died is taken away. `probe` is a name that nobody else uses. */
async function takeLock(
  folder: CacheFolder,
  lock: Mark,
  probe: string,
  options: ActivityOptions,
): Promise<boolean> {
  const { signal } = options;
  if (await folder.create(lock.name, lock.content, signal)) return true;
  // Empty: there is room for that on a full disk, which a collection is to help.
  await folder.put(probe, Buffer.alloc(0), { signal });
  const clock = await clockOf(folder, probe, options);
  await folder.remove(probe, signal);
  if (await isLive(folder, lock.name, clock, signal)) return false;
  await folder.remove(lock.name, signal);
  if (!(await folder.create(lock.name, lock.content, signal))) return false;
  // Somebody who has found it dead as well may just have taken ours away.
  await delay(lookMs, signal);
  return (await ownershipOf(folder, lock, signal)) !== "lost";
}

/** Keeps the mark young until its end. */
function hold(folder: CacheFolder, mark: Mark, clock: () => number, { signal }: ActivityOptions): Activity {
  let beatAt = clock();
  let lost = false;
  /** What was late once is lost for good: meanwhile others may have taken it for dead. */
  const isHeld = (): boolean => {
    lost ||= Math.abs(clock() - beatAt) >= staleMs / 2;
    return !lost;
  };
  const check = (): void => {
    if (!isHeld()) throw new Error(`${mark.name} may be somebody else's`);
  };
  const beat = async (): Promise<void> => {
    const at = clock();
    if (!isHeld()) return;
    lost ||= (await ownershipOf(folder, mark, signal)) === "lost";
    await folder.touch(mark.name, at, signal, check);
    beatAt = at;
  };
  const timer = setInterval(() => void beat().catch(() => undefined), beatMs);
  return {
    now: clock,
    isHeld,
    end: async () => {
      clearInterval(timer);
      const soon = AbortSignal.timeout(endMs);
      const ownership = await ownershipOf(folder, mark, soon).catch(() => "lost");
      if (ownership === "ours") await folder.remove(mark.name, soon).catch(() => undefined);
      if (ownership === "unsure") await folder.remove(mark.name, soon, check).catch(() => undefined);
    },
  };
}

/** Whose a file of the mark's name is; `unsure` where a full disk has kept it from telling. */
async function ownershipOf(
  folder: CacheFolder,
  { name, content }: Mark,
  signal: AbortSignal,
): Promise<"ours" | "unsure" | "lost"> {
  const there = await folder.read(name, maxMarkBytes, signal);
  if (there === null || !content.subarray(0, there.length).equals(there)) return "lost";
  return there.length === content.length ? "ours" : "unsure";
}

/** The folder's clock, by the time of a file that was just written there. */
async function clockOf(
  folder: CacheFolder,
  name: string,
  { signal, now = Date.now }: ActivityOptions,
): Promise<() => number> {
  const written = await folder.stat(name, signal);
  const ahead = (written?.modifiedAt ?? now()) - now();
  return () => now() + ahead;
}

async function isLive(
  folder: CacheFolder,
  name: string,
  clock: () => number,
  signal: AbortSignal,
): Promise<boolean> {
  const mark = await folder.stat(name, signal);
  return mark !== null && Math.abs(clock() - mark.modifiedAt) < staleMs;
}

function markText(what: string, token: string): Buffer {
  const { username: user } = userInfo();
  const mark = { what, host: hostname(), user, pid: process.pid, started: new Date().toISOString(), token };
  return Buffer.from(`${JSON.stringify(mark)}\n`);
}

/** For a person; what stands in the file may be anybody's. */
async function ownerOf(folder: CacheFolder, name: string, signal: AbortSignal): Promise<string> {
  const text = (await folder.read(name, maxMarkBytes, signal))?.toString() ?? "";
  if (text === "") return name === collectionLockName ? "a gc that has not said whose it is" : name;
  try {
    const mark = JSON.parse(text) as Record<string, unknown>;
    const told = (key: string): string => String(mark[key]);
    const what = mark["what"] === "gc" ? "gc" : "push";
    return printable(
      `${what} by ${told("user")}@${told("host")}, process ${told("pid")}, since ${told("started")}`,
    );
  } catch (error) {
    return `${name} (${messageOf(error)})`.slice(0, 200);
  }
}

function busy(folder: CacheFolder, who: string): TetherError {
  return new TetherError("cache-busy", `${folder.label} is in use: ${who}`, {
    remedy: `Wait for its end. What is not touched for ${staleMs / 60_000} minutes counts no more.`,
  });
}
