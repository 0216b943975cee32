// `fsck` of a static cache: finds what is wrong in it, and takes that away if told to, alone in the cache.

import type { Activity } from "./activity.js";
import type { CacheFolder } from "./cache-folder.js";
import { requireCache } from "./cache-info.js";
import { checkContents } from "./contents.js";
import { readInventory, type CacheFile, type Inventory } from "./inventory.js";
import { findProblems, findUntrusted, isBroken, type Problem } from "./problems.js";
import type { Progress } from "./progress.js";
import { removalBatches, withReferrers } from "./removal.js";
import { removeFiles, requireNars, type Removed } from "./remove-files.js";
import { rubbish, unownedFiles } from "./unowned.js";

export interface FsckOptions {
  readonly env: NodeJS.ProcessEnv;
  /** Whether NARs are read. */
  readonly full: boolean;
  /** The keys that signatures are held against; null: they are not looked at. */
  readonly publicKeys: readonly string[] | null;
  /** Begins a collection; null: what is broken stays. */
  readonly enter: ((signal: AbortSignal) => Promise<Activity>) | null;
  readonly signal: AbortSignal;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly onProgress: (progress: Progress) => void;
}

interface Found {
  readonly inventory: Inventory;
  readonly problems: readonly Problem[];
  /** Belongs to no path; no harm to anybody. */
  readonly unowned: readonly CacheFile[];
  /** Of how many NARs only the file's hash could be compared, by their compression. */
  readonly closed: ReadonlyMap<string, number>;
}

export interface Repair {
  readonly removed: Removed;
  /** The hash parts of the paths that have gone: broken ones, and what needs them. */
  readonly gone: ReadonlySet<string>;
  /** The files of no path that have gone. */
  readonly rubbish: readonly CacheFile[];
}

export interface Checked extends Found {
  readonly repair: Repair | null;
}

/** @throws TetherError `not-a-cache`, what `enter` and the folder throw; or the signal's reason */
export async function fsckCache(folder: CacheFolder, options: FsckOptions): Promise<Checked> {
  await requireCache(folder, options.signal);
  if (options.enter === null) return { ...(await find(folder, options)), repair: null };
  const alone = await options.enter(options.signal);
  try {
    const found = await find(folder, options);
    const { inventory, problems } = found;
    requireNars(folder, inventory);
    const broken = problems.filter(isBroken).map(({ hashPart }) => hashPart);
    const gone = withReferrers(inventory.paths, broken);
    const also = rubbish(inventory, 0, Math.min(options.now(), alone.now()));
    const removed = await removeFiles(folder, removalBatches(inventory, gone, also), { ...options, alone });
    return { ...found, repair: { removed, gone, rubbish: also } };
  } finally {
    await alone.end();
  }
}

async function find(folder: CacheFolder, options: FsckOptions): Promise<Found> {
  const { signal, onProgress, publicKeys } = options;
  const onRead = (done: number, all: number): void => onProgress({ doing: "reading", done, all });
  const inventory = await readInventory(folder, { signal, onRead });
  const seen = await stillThere(folder, findProblems(inventory), signal);
  const contents = options.full ? await checkContents(folder, inventory, options) : null;
  const untrusted = publicKeys === null ? [] : findUntrusted(inventory, publicKeys);
  const problems = [...seen, ...(contents?.problems ?? []), ...untrusted];
  return { inventory, problems, unowned: unownedFiles(inventory), closed: contents?.closed ?? new Map() };
}

/** While somebody else adds and removes, a look at everything is no look at one moment. */
async function stillThere(
  folder: CacheFolder,
  problems: readonly Problem[],
  signal: AbortSignal,
): Promise<Problem[]> {
  const found: Problem[] = [];
  for (const problem of problems) {
    const { kind, hashPart, file } = problem;
    const isMissing = kind === "missing-nar" || kind === "missing-reference";
    if (isMissing && (await folder.stat(file, signal)) !== null) continue;
    if (isMissing && (await folder.stat(`${hashPart}.narinfo`, signal)) === null) continue;
    found.push(problem);
  }
  return found;
}
