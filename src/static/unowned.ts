// What lies in a static cache and belongs to none of its paths. Pure.

import type { CacheFile, Inventory } from "./inventory.js";

/** So long it may belong to a push that has been cut, and goes on where it was: a day, in milliseconds. */
export const unfinishedMs = 24 * 3600 * 1000;

/** NARs that no narinfo names, and what has not been written to its end. */
export function unownedFiles({ paths, nars, leftovers }: Inventory): CacheFile[] {
  const named = new Set([...paths.values()].flatMap((path) => path.nars));
  return [...leftovers, ...[...nars.values()].filter(({ name }) => !named.has(name))];
}

/** Those that nobody will go on with: unfinished ones older than a day, whole NARs older than that and `olderThanMs`. */
export function rubbish(inventory: Inventory, olderThanMs: number, now: number): CacheFile[] {
  const narMs = Math.max(unfinishedMs, olderThanMs);
  return unownedFiles(inventory).filter(
    ({ name, modifiedAt }) => modifiedAt <= now - (inventory.nars.has(name) ? narMs : unfinishedMs),
  );
}
