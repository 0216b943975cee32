// What a garbage collection of a static cache takes away, why it leaves the rest, and in which order it goes. Pure.

import type { CacheFile, CachedPath, Inventory } from "./inventory.js";
import { referrersOf, removalBatches, withReferences } from "./removal.js";
import { rubbish, unownedFiles } from "./unowned.js";

export interface GcRules {
  /** Milliseconds; null where age alone is no reason to go. */
  readonly olderThanMs: number | null;
  /** What the whole cache may have; null where it may be of any size. */
  readonly maxBytes: number | null;
  /** The hash parts of what stays in any case. */
  readonly pinned: ReadonlySet<string>;
}

/** `damaged`: it can not be read, so nobody knows what it would break. `needed`: something that is kept refers to it. */
export type KeptBecause = "pinned" | "young" | "needed" | "damaged";
export type GoneBecause = "old" | "size";

export interface GcPlan {
  /** See `removalBatches`. */
  readonly batches: readonly (readonly CacheFile[])[];
  /** In the order in which they were found to go. */
  readonly gone: ReadonlyMap<string, GoneBecause>;
  readonly kept: ReadonlyMap<string, KeptBecause>;
  /** What belongs to no path, and goes as well. */
  readonly rubbish: readonly CacheFile[];
  /** Bytes of all that is in the cache now, and of what goes. */
  readonly bytes: { readonly all: number; readonly removed: number };
}

/** `now` is in milliseconds since the epoch. */
export function planGc(inventory: Inventory, rules: GcRules, now: number): GcPlan {
  const { paths } = inventory;
  const kept = keptByAge(inventory, rules, now);
  const gone = new Map<string, GoneBecause>();
  for (const hashPart of paths.keys()) if (!kept.has(hashPart)) gone.set(hashPart, "old");
  const unowned = rubbish(inventory, rules.olderThanMs ?? 0, now);
  const all = sum(everyFile(inventory));
  if (rules.maxBytes !== null) {
    const left = sizeLedger(inventory, kept.keys());
    const others = sum(unownedFiles(inventory)) - sum(unowned);
    makeRoom(inventory, kept, gone, left, rules.maxBytes - others);
  }
  const batches = removalBatches(inventory, new Set(gone.keys()), unowned);
  return { batches, gone, kept, rubbish: unowned, bytes: { all, removed: sum(batches.flat()) } };
}

/** The bytes of what a path alone has in the cache, and of its NAR. */
export function bytesOfPath({ nars }: Inventory, path: CachedPath): number {
  const nar = path.nars.reduce((bytes, name) => bytes + (nars.get(name)?.size ?? 0), 0);
  return path.file.size + (path.listing?.size ?? 0) + nar;
}

/** When the newest of the files of a path was changed, in milliseconds since the epoch. */
export function changedAt({ nars }: Inventory, path: CachedPath): number {
  return Math.max(path.file.modifiedAt, ...path.nars.map((name) => nars.get(name)?.modifiedAt ?? 0));
}

/** What a young path refers to is as young as that. */
function keptByAge(inventory: Inventory, rules: GcRules, now: number): Map<string, KeptBecause> {
  const { paths } = inventory;
  const kept = new Map<string, KeptBecause>();
  for (const path of paths.values()) {
    if (path.problem !== null) kept.set(path.hashPart, "damaged");
    else if (rules.pinned.has(path.hashPart)) kept.set(path.hashPart, "pinned");
    else if (rules.olderThanMs === null || changedAt(inventory, path) > now - rules.olderThanMs)
      kept.set(path.hashPart, "young");
  }
  for (const hashPart of withReferences(paths, kept.keys()))
    if (!kept.has(hashPart)) kept.set(hashPart, "needed");
  return kept;
}

/**
 * Moves from `kept` to `gone` what nothing that is kept refers to, the longest unchanged first, until the rest fits or only
 * what must stay is left.
 */
function makeRoom(
  inventory: Inventory,
  kept: Map<string, KeptBecause>,
  gone: Map<string, GoneBecause>,
  ledger: SizeLedger,
  maxBytes: number,
): void {
  const { paths } = inventory;
  const mayGo = (hashPart: string): boolean => {
    const why = kept.get(hashPart);
    return why === "young" || why === "needed";
  };
  const referrers = new Map(
    [...referrersOf(paths)].map(([hashPart, all]) => [hashPart, all.filter((one) => kept.has(one)).length]),
  );
  const queue = createQueue();
  const offer = (hashPart: string): void => {
    const path = paths.get(hashPart);
    if (path !== undefined && mayGo(hashPart) && (referrers.get(hashPart) ?? 0) === 0)
      queue.add({ hashPart, at: changedAt(inventory, path) });
  };
  for (const hashPart of kept.keys()) offer(hashPart);
  for (let next = queue.first(); next !== undefined && ledger.bytes() > maxBytes; next = queue.first()) {
    queue.dropFirst();
    kept.delete(next.hashPart);
    gone.set(next.hashPart, "size");
    ledger.remove(next.hashPart);
    for (const reference of paths.get(next.hashPart)?.references ?? []) {
      referrers.set(reference, (referrers.get(reference) ?? 1) - 1);
      offer(reference);
    }
  }
}

interface SizeLedger {
  bytes(): number;
  /** A NAR counts until the last path that has it is removed. */
  remove(hashPart: string): void;
}

function sizeLedger({ paths, nars }: Inventory, hashParts: Iterable<string>): SizeLedger {
  const holders = new Map<string, number>();
  let bytes = 0;
  const own = ({ file, listing }: CachedPath): number => file.size + (listing?.size ?? 0);
  for (const hashPart of hashParts) {
    const path = paths.get(hashPart);
    if (path === undefined) continue;
    bytes += own(path);
    for (const name of path.nars) {
      const before = holders.get(name) ?? 0;
      if (before === 0) bytes += nars.get(name)?.size ?? 0;
      holders.set(name, before + 1);
    }
  }
  return {
    bytes: () => bytes,
    remove: (hashPart) => {
      const path = paths.get(hashPart);
      if (path === undefined) return;
      bytes -= own(path);
      for (const name of path.nars) {
        const left = (holders.get(name) ?? 0) - 1;
        holders.set(name, left);
        if (left === 0) bytes -= nars.get(name)?.size ?? 0;
      }
    },
  };
}

interface Candidate {
  readonly hashPart: string;
  readonly at: number;
}

/** The oldest first; of two of the same time, the first by its hash part. */
function createQueue(): { add(one: Candidate): void; first(): Candidate | undefined; dropFirst(): void } {
  // The last is the first to go: taking from the end is cheap.
  const waiting: Candidate[] = [];
  const goesBefore = (a: Candidate, b: Candidate): boolean =>
    a.at < b.at || (a.at === b.at && a.hashPart < b.hashPart);
  return {
    add: (one) => {
      let low = 0;
      for (let high = waiting.length; low < high;) {
        const middle = (low + high) >> 1;
        const there = waiting[middle];
        if (there !== undefined && goesBefore(one, there)) low = middle + 1;
        else high = middle;
      }
      waiting.splice(low, 0, one);
    },
    first: () => waiting.at(-1),
    dropFirst: () => void waiting.pop(),
  };
}

function everyFile({ paths, nars, leftovers }: Inventory): CacheFile[] {
  const ofPaths = [...paths.values()].flatMap(({ file, listing }) => [file, ...(listing ? [listing] : [])]);
  return [...ofPaths, ...nars.values(), ...leftovers];
}

function sum(files: readonly CacheFile[]): number {
  return files.reduce((bytes, { size }) => bytes + size, 0);
}
