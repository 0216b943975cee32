// Makes files that a static cache has already count as new: whoever collects goes by the time.

import { maxNarinfoBytes } from "../protocol/narinfo-file.js";
import { TetherError } from "../util/errors.js";
import { inParallel } from "../util/in-parallel.js";
import type { CacheFolder, Check } from "./cache-folder.js";
import { hashPartOf } from "./cache-names.js";

export interface RefreshOptions {
  /** By the folder's clock, in milliseconds since the epoch. */
  readonly now: () => number;
  /** Throws where they must not be changed any more. */
  readonly check: Check;
  readonly signal: AbortSignal;
}

const touchesAtOnce = 64;

/** Rejects as `CacheFolder` does, or with what `check` throws. */
export async function refreshFiles(
  folder: CacheFolder,
  names: readonly string[],
  { now, check, signal }: RefreshOptions,
): Promise<void> {
  await inParallel(names, touchesAtOnce, async (name) => {
    try {
      await folder.touch(name, now(), signal, check);
    } catch (error) {
      if (!(error instanceof TetherError && error.code === "cache-forbidden")) throw error;
      // Only its owner may set a file's time, and another login may have pushed it. A NAR stays for as long as its narinfo.
      if (hashPartOf(name) === null) return;
      const narinfo = await folder.read(name, maxNarinfoBytes, signal);
      if (narinfo === null) throw error;
      await folder.put(name, narinfo, { signal, check });
    }
  });
}
