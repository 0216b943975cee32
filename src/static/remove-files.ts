// Removes files of a static cache, batch by batch, so that the cache is valid at every moment.

import { inParallel } from "../util/in-parallel.js";
import type { CacheFolder } from "./cache-folder.js";
import type { CacheFile } from "./inventory.js";
import type { Progress } from "./progress.js";

/** What was there and is no more. */
export interface Removed {
  readonly files: number;
  readonly bytes: number;
}

const removalsAtOnce = 64;

/** `batches` as `removalBatches` makes them. Ends early with the folder's error, or the signal's reason. */
export async function removeFiles(
  folder: CacheFolder,
  batches: readonly (readonly CacheFile[])[],
  { signal, onProgress }: { readonly signal: AbortSignal; readonly onProgress: (progress: Progress) => void },
): Promise<Removed> {
  const all = batches.reduce((count, batch) => count + batch.length, 0);
  let done = 0;
  let files = 0;
  let bytes = 0;
  for (const batch of batches) {
    await inParallel(batch, removalsAtOnce, async ({ name, size }) => {
      signal.throwIfAborted();
      if (await folder.remove(name, signal)) {
        files += 1;
        bytes += size;
      }
      onProgress({ doing: "removing", done: (done += 1), all });
    });
  }
  return { files, bytes };
}
