// `gc` of a static cache: reads it, decides what goes, and has that removed, alone in the cache.

import type { Activity } from "./activity.js";
import type { CacheFolder } from "./cache-folder.js";
import { requireCache } from "./cache-info.js";
import { planGc, type GcPlan, type GcRules } from "./gc-plan.js";
import { readInventory, type Inventory } from "./inventory.js";
import { pinnedPaths, type Pin } from "./keep.js";
import type { Progress } from "./progress.js";
import { removeFiles, requireNars, type Removed } from "./remove-files.js";

export interface CollectOptions extends Omit<GcRules, "pinned"> {
  readonly pins: readonly Pin[];
  /** Begins a collection; null: nothing is to be removed, only to be found. */
  readonly enter: ((signal: AbortSignal) => Promise<Activity>) | null;
  readonly signal: AbortSignal;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly onProgress: (progress: Progress) => void;
}

export interface Collected {
  readonly inventory: Inventory;
  readonly plan: GcPlan;
  /** The words of `pins` that fit nothing. */
  readonly unusedPins: readonly string[];
  /** What has really been removed; null where nothing was to be. */
  readonly removed: Removed | null;
}

/** @throws TetherError `not-a-cache`, what `enter` and the folder throw; or the signal's reason. The cache is valid in any case. */
export async function collect(folder: CacheFolder, options: CollectOptions): Promise<Collected> {
  await requireCache(folder, options.signal);
  if (options.enter === null) return find(folder, options, options.now());
  const alone = await options.enter(options.signal);
  try {
    // Of two clocks that differ one is wrong; by the earlier one nothing goes too soon.
    const found = await find(folder, options, Math.min(options.now(), alone.now()));
    requireNars(folder, found.inventory);
    return { ...found, removed: await removeFiles(folder, found.plan.batches, { ...options, alone }) };
  } finally {
    await alone.end();
  }
}

async function find(folder: CacheFolder, options: CollectOptions, now: number): Promise<Collected> {
  const { onProgress, pins, signal } = options;
  const onRead = (done: number, all: number): void => onProgress({ doing: "reading", done, all });
  const inventory = await readInventory(folder, { signal, onRead });
  const { hashParts: pinned, unused: unusedPins } = pinnedPaths(inventory, pins);
  return { inventory, unusedPins, plan: planGc(inventory, { ...options, pinned }, now), removed: null };
}
