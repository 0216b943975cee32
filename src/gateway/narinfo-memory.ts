// The narinfos that a cache gave out: what lets it answer for a known path while its machine is briefly away.

import type { OfferedPath } from "../protocol/offered-path.js";

/** A bounded memory that drops what was used least recently. */
export interface NarinfoMemory {
  /** What is known of a path, if it was learned within the last `maxAgeMs` milliseconds. */
  recall(hashPart: string, maxAgeMs?: number): OfferedPath | null;
  remember(hashPart: string, info: OfferedPath): void;
  forget(hashPart: string): void;
}

/** An empty memory of at most `entries` paths. `now` is a monotonic clock in milliseconds. */
export function createNarinfoMemory(entries: number, now: () => number): NarinfoMemory {
  // A Map iterates in the order of insertion, so the first key is the one used least recently.
  const known = new Map<string, { readonly info: OfferedPath; readonly at: number }>();
  const put = (hashPart: string, entry: { readonly info: OfferedPath; readonly at: number }): void => {
    known.delete(hashPart);
    known.set(hashPart, entry);
  };
  return {
    recall(hashPart, maxAgeMs = Infinity) {
      const entry = known.get(hashPart);
      if (entry === undefined || now() - entry.at > maxAgeMs) return null;
      put(hashPart, entry);
      return entry.info;
    },
    remember(hashPart, info) {
      put(hashPart, { info, at: now() });
      const [oldest] = known.keys();
      if (known.size > entries && oldest !== undefined) known.delete(oldest);
    },
    forget(hashPart) {
      known.delete(hashPart);
    },
  };
}
