// The paths that Nix was told are "not here", for as long as it may remember that: what must be asked again, for one
// of them may have come since. No clock of its own; times are milliseconds since the epoch, as Nix compares them.

import { negativeMs } from "./generation.js";

/** Denials under one URL of a cache. */
export interface Denials {
  /** A path was denied. */
  add(hashPart: string, now: number): void;
  /** The hash parts that may still be remembered, the newest first. */
  standing(now: number): string[];
  /** Whether more may be remembered than `standing` tells, because there were too many. */
  overflowed(now: number): boolean;
  /** Another URL is used from now on. */
  clear(): void;
  snapshot(now: number): DenialsSnapshot;
}

/** What outlives the daemon. */
export interface DenialsSnapshot {
  /** Hash part and time of each, the oldest first. */
  readonly denied: readonly (readonly [string, number])[];
  /** The newest that was given up for want of room; 0 for none. */
  readonly lost: number;
}

export const noDenials: DenialsSnapshot = { denied: [], lost: 0 };

/** Remembers at most `most` denials, the newest ones. */
export function createDenials(most: number, before: DenialsSnapshot = noDenials): Denials {
  // In the order of their times, for a path that is denied again moves to the end.
  const times = new Map<string, number>();
  let { lost } = before;

  const add = (hashPart: string, at: number): void => {
    times.delete(hashPart);
    times.set(hashPart, at);
    const [oldest] = times;
    if (times.size <= most || oldest === undefined) return;
    times.delete(oldest[0]);
    lost = Math.max(lost, oldest[1]);
  };
  const dropOld = (now: number): void => {
    for (const [hashPart, at] of times) {
      if (now - at < negativeMs) return;
      times.delete(hashPart);
    }
  };
  for (const [hashPart, at] of before.denied) add(hashPart, at);

  return {
    add,
    standing: (now) => {
      dropOld(now);
      return [...times.keys()].toReversed();
    },
    overflowed: (now) => now - lost < negativeMs,
    clear: () => {
      times.clear();
      lost = 0;
    },
    snapshot: (now) => {
      dropOld(now);
      return { denied: [...times], lost };
    },
  };
}
