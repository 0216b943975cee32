// Removes files of a static cache, batch by batch, so that the cache is valid at every moment.

import { TetherError } from "../util/errors.js";
import { inParallel } from "../util/in-parallel.js";
import type { Activity } from "./activity.js";
import type { CacheFolder } from "./cache-folder.js";
import { narFolder } from "./cache-names.js";
import type { CacheFile, Inventory } from "./inventory.js";
import type { Progress } from "./progress.js";

/** What was there and is no more. */
export interface Removed {
  readonly files: number;
  readonly bytes: number;
}

const removalsAtOnce = 64;

/**
 * To be asked before anything is removed: a disk that is not mounted looks like a cache that has lost all it had.
 * @throws TetherError `nars-missing`
 */
export function requireNars({ label }: CacheFolder, { paths, nars }: Inventory): void {
  if (paths.size === 0 || nars.size > 0) return;
  throw new TetherError("nars-missing", `${label} has narinfos, and not a single NAR in ${narFolder}/`, {
    remedy: `Mount the disk with ${narFolder}/. If the NARs are gone for good, remove the narinfos as well. Nothing has been changed.`,
  });
}

export interface RemoveOptions {
  /** Nothing is removed any more once it is not held. */
  readonly alone: Activity;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: Progress) => void;
}

/**
 * `batches` as `removalBatches` makes them. Ends early with the folder's error, `cache-busy`, or the signal's reason: what
 * had to go first is gone then.
 */
export async function removeFiles(
  folder: CacheFolder,
  batches: readonly (readonly CacheFile[])[],
  { alone, signal, onProgress }: RemoveOptions,
): Promise<Removed> {
  const all = batches.reduce((count, batch) => count + batch.length, 0);
  let done = 0;
  let files = 0;
  let bytes = 0;
  const check = (): void => {
    if (!alone.isHeld()) throw overtaken(folder);
  };
  for (const batch of batches) {
    await inParallel(batch, removalsAtOnce, async ({ name, size }) => {
      signal.throwIfAborted();
      if (await folder.remove(name, signal, check)) {
        files += 1;
        bytes += size;
      }
      onProgress({ doing: "removing", done: (done += 1), all });
    });
  }
  return { files, bytes };
}

function overtaken({ label }: CacheFolder): TetherError {
  return new TetherError(
    "cache-busy",
    `${label} was out of sight for so long that others may be at it by now`,
    {
      remedy: "What is there is complete. Run the command again.",
    },
  );
}
