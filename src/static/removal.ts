// In which order paths leave a static cache, so that what is still there is complete at every moment. Pure.

import type { CacheFile, CachedPath, Inventory } from "./inventory.js";

/**
 * The files to remove. Those of one batch may go in any order, or at once; a batch begins when the one before has ended.
 *
 * A narinfo goes before those of the paths that it refers to, and before its NAR; a NAR goes with the last narinfo that
 * names it. `going` must hold whatever refers to one of its paths. `also` is what nothing refers to.
 */
export function removalBatches(
  { paths, nars }: Inventory,
  going: ReadonlySet<string>,
  also: readonly CacheFile[] = [],
): CacheFile[][] {
  const levels = levelsOf(paths, going);
  const batches: CacheFile[][] = [[...also]];
  const add = (level: number, file: CacheFile): void => {
    while (batches.length <= level) batches.push([]);
    batches[level]?.push(file);
  };
  /** By name, the batch after which nothing names the NAR any more. */
  const freed = new Map<string, number>();
  for (const path of paths.values()) {
    const level = levels.get(path.hashPart) ?? Number.POSITIVE_INFINITY;
    for (const nar of path.nars) freed.set(nar, Math.max(freed.get(nar) ?? 0, level));
    if (level === Number.POSITIVE_INFINITY) continue;
    add(level, path.file);
    if (path.listing !== null) add(level + 1, path.listing);
  }
  for (const [name, level] of freed) {
    const file = nars.get(name);
    if (file !== undefined && level !== Number.POSITIVE_INFINITY) add(level + 1, file);
  }
  return batches.filter((batch) => batch.length > 0);
}

/** All that refers to one of `hashParts`, at however many removes, and these themselves. */
export function withReferrers(
  paths: ReadonlyMap<string, CachedPath>,
  hashParts: Iterable<string>,
): Set<string> {
  const referrers = referrersOf(paths);
  return reachable(hashParts, (hashPart) => referrers.get(hashPart) ?? []);
}

/** All that is here of what `hashParts` refer to, at however many removes, and these themselves. */
export function withReferences(
  paths: ReadonlyMap<string, CachedPath>,
  hashParts: Iterable<string>,
): Set<string> {
  const here = (hashPart: string): string[] =>
    (paths.get(hashPart)?.references ?? []).filter((reference) => paths.has(reference));
  return reachable(hashParts, here);
}

/** The hash parts of those that refer to each. */
export function referrersOf(paths: ReadonlyMap<string, CachedPath>): Map<string, string[]> {
  const referrers = new Map<string, string[]>();
  for (const { hashPart, references } of paths.values()) {
    for (const reference of references) {
      const known = referrers.get(reference);
      if (known === undefined) referrers.set(reference, [hashPart]);
      else known.push(hashPart);
    }
  }
  return referrers;
}

function reachable(from: Iterable<string>, next: (hashPart: string) => readonly string[]): Set<string> {
  const found = new Set(from);
  for (const hashPart of found) for (const one of next(hashPart)) found.add(one);
  return found;
}

/** How long the longest chain of referrers is that leads to each of `going`. */
function levelsOf(
  paths: ReadonlyMap<string, CachedPath>,
  going: ReadonlySet<string>,
): ReadonlyMap<string, number> {
  const goingReferences = (hashPart: string): string[] =>
    (paths.get(hashPart)?.references ?? []).filter((reference) => going.has(reference));
  const referrersLeft = new Map([...going].map((hashPart) => [hashPart, 0]));
  for (const hashPart of going)
    for (const reference of goingReferences(hashPart))
      referrersLeft.set(reference, (referrersLeft.get(reference) ?? 0) + 1);
  const levels = new Map<string, number>();
  let level = 0;
  let next = [...going].filter((hashPart) => referrersLeft.get(hashPart) === 0);
  for (; next.length > 0; level += 1) {
    const after: string[] = [];
    for (const hashPart of next) {
      levels.set(hashPart, level);
      for (const reference of goingReferences(hashPart)) {
        const left = (referrersLeft.get(reference) ?? 0) - 1;
        referrersLeft.set(reference, left);
        if (left === 0) after.push(reference);
      }
    }
    next = after;
  }
  // Paths that refer to each other in a circle: no Nix makes them, so there is no order that would be right.
  for (const hashPart of going) if (!levels.has(hashPart)) levels.set(hashPart, level);
  return levels;
}
