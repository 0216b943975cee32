// Which paths a store has, in four bytes each: enough to say for sure that one is not there, and next to sure that one is.

import { nix32Digits } from "../protocol/nix32.js";
import { storeDir } from "../protocol/store-path.js";

/** Digits of five bits that are remembered of each path: of 200,000 paths one in 5,000 that is not there looks as if it were. */
const digits = 6;

/** Where a path's hash begins. */
const hashAt = storeDir.length + 1;

const values = new Uint8Array(128);
for (const [value, digit] of [...nix32Digits].entries()) values[digit.charCodeAt(0)] = value;

/** The paths of one store at one time. */
export interface PathIndex {
  /** False where no path has this hash part. True says little: it is for the store to say. */
  mayHave(hashPart: string): boolean;
}

/** An index that is being made. */
export interface PathIndexMaker {
  /** A whole store path, in ASCII. No more of them than were announced. */
  add(path: Buffer): void;
  finish(): PathIndex;
}

/** For so many paths. */
export function makePathIndex(count: number): PathIndexMaker {
  const known = new Uint32Array(count);
  let added = 0;
  return {
    add: (path) => {
      known[added] = keyOf(path, hashAt);
      added += 1;
    },
    finish: () => {
      // A nix-daemon names them in this order, and then it costs nothing; but it need not.
      known.sort();
      return {
        mayHave: (hashPart) => isIn(known, keyOf(Buffer.from(hashPart, "latin1"), 0)),
      };
    },
  };
}

function keyOf(text: Uint8Array, from: number): number {
  let key = 0;
  for (let at = from; at < from + digits; at += 1) key = key * 32 + (values[text[at] ?? 0] ?? 0);
  return key;
}

function isIn(sorted: Uint32Array, key: number): boolean {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? 0) < key) low = middle + 1;
    else high = middle;
  }
  return sorted[low] === key;
}
