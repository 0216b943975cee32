// NARs that broke in the middle: for some seconds they are "gone", which ends Nix's retries without a failed build.

/** The bound on what is remembered; far more NARs than Nix ever has under way at once. */
const mostTombstones = 1_000;

/** A set of NARs' names whose members leave by themselves. */
export interface Tombstones {
  add(nar: string): void;
  has(nar: string): boolean;
  clear(): void;
}

/** An empty set whose members leave after `ttlMs` milliseconds. `now` is a monotonic clock in milliseconds. */
export function createTombstones(ttlMs: number, now: () => number): Tombstones {
  const until = new Map<string, number>();
  return {
    add(nar) {
      until.delete(nar);
      until.set(nar, now() + ttlMs);
      const [oldest] = until.keys();
      if (until.size > mostTombstones && oldest !== undefined) until.delete(oldest);
    },
    has(nar) {
      const end = until.get(nar);
      if (end === undefined) return false;
      if (now() < end) return true;
      until.delete(nar);
      return false;
    },
    clear() {
      until.clear();
    },
  };
}
