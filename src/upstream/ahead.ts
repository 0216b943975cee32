// What will be asked next: whoever was told of a path asks for its references. These are looked up before that, by their
// whole names, so that a level of the graph costs one round trip and not two for each of its paths.

import type { PathInfo } from "../protocol/path-info.js";
import { baseNameOf } from "../protocol/store-path.js";

/** Answers that nobody has asked for yet. */
export interface Ahead {
  /** What was found early about a path, once: null where nothing was. */
  take(hashPart: string): Promise<PathInfo | null>;
  /** Takes an early answer; that it fails means only that it is of no use. */
  put(path: string, answer: Promise<PathInfo | null>): void;
}

/** Remembers up to `most` answers for `freshMs` milliseconds. `now` is a monotonic clock in milliseconds. */
export function createAhead(options: {
  readonly most: number;
  readonly freshMs: number;
  readonly now: () => number;
}): Ahead {
  const { most, freshMs, now } = options;
  // A Map iterates in the order of insertion: the first is the oldest.
  const known = new Map<string, { readonly at: number; readonly answer: Promise<PathInfo | null> }>();
  const forget = (): void => {
    for (const [hashPart, { at }] of known) {
      if (now() - at <= freshMs && known.size <= most) return;
      known.delete(hashPart);
    }
  };
  return {
    take: async (hashPart) => {
      forget();
      const found = known.get(hashPart);
      known.delete(hashPart);
      return found?.answer ?? null;
    },
    put: (path, answer) => {
      const useful = answer.catch(() => null);
      known.set(baseNameOf(path).slice(0, 32), { at: now(), answer: useful });
      forget();
    },
  };
}
