// Which paths are sent next, and when to try again what failed: pure.

import type { Entry } from "./entry.js";

/** Sent by one `nix copy`: enough to keep the link busy, few enough to find the bad one among them. */
export const mostPaths = 50;

/** The longest wait after a failure, in milliseconds. */
const longestMs = 5 * 60_000;

const firstMs = 5_000;

/** Milliseconds to wait after the `tries`-th failure in a row; 1 is the first. */
export function backoffMs(tries: number): number {
  return Math.min(longestMs, firstMs * 2 ** Math.min(tries - 1, 20));
}

/** For one target, at one time. */
export interface Moment {
  readonly target: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** By path: until when it was to wait when the target returned. That wait is over. */
  readonly forgiven: ReadonlyMap<string, number>;
}

/** When an entry may be sent to that target, in milliseconds since the epoch; null where it does not wait for it. */
export function dueAt(entry: Entry, { target, now, forgiven }: Moment): number | null {
  const progress = entry.targets[target];
  if (progress?.state !== "waiting") return null;
  const { notBefore } = progress;
  if (notBefore === null || forgiven.get(entry.path) === notBefore) return 0;
  // The clock was set back since: nothing is meant to wait this long.
  return notBefore - now > longestMs ? 0 : notBefore;
}

/**
 * Of those that are due at most `limit`: first what has failed least, for a path that the target can not take must not
 * keep the others from being tried, then what is oldest. `entries` has the oldest first.
 */
export function nextBatch(entries: readonly Entry[], limit: number, moment: Moment): string[] {
  const tries = ({ targets }: Entry): number => targets[moment.target]?.tries ?? 0;
  return entries
    .filter((entry) => (dueAt(entry, moment) ?? Infinity) <= moment.now)
    .toSorted((a, b) => tries(a) - tries(b))
    .slice(0, limit)
    .map(({ path }) => path);
}

/** When the next one is due, in milliseconds since the epoch, or null when none waits. */
export function nextDue(entries: readonly Entry[], moment: Moment): number | null {
  const times = entries.map((entry) => dueAt(entry, moment)).filter((at) => at !== null);
  return times.length === 0 ? null : times.reduce((a, b) => Math.min(a, b));
}

/** What was waited for when the target returned: see `Moment.forgiven`. */
export function forgive(entries: readonly Entry[], target: string): Map<string, number> {
  return new Map(
    entries.flatMap(({ path, targets }): [string, number][] => {
      const notBefore = targets[target]?.notBefore ?? null;
      return notBefore === null ? [] : [[path, notBefore]];
    }),
  );
}
