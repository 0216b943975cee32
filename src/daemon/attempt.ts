// One try at a cache: where is it, and does it answer as one? Posts what it finds, decides nothing.

import type { Endpoint } from "../link/link.js";
import type { LookupTarget } from "../sources/discovery.js";
import type { CacheEvent, Failure } from "../sources/event.js";
import { TetherError, messageOf } from "../util/errors.js";
import type { CacheLink } from "./cache-link.js";

/** A cache as it was found by one way. */
export interface Found {
  readonly endpoints: readonly Endpoint[];
  /** Rejects with the reason why it can not be used. */
  connect(): Promise<CacheLink>;
}

/**
 * Looks for a cache by the way with this index. Resolves to a sentence where it is not there. `onTarget` is told where it
 * is looked for, as soon as that is known.
 */
export type Find = (
  way: number,
  onTarget: (target: LookupTarget) => void,
  signal: AbortSignal,
) => Promise<Found | string>;

/** What a try needs. */
export interface AttemptDeps {
  readonly find: Find;
  readonly post: (fact: CacheEvent) => void;
  /** Told where the cache is looked for by a way. */
  readonly onTarget: (way: number, target: LookupTarget) => void;
}

/** A cache that can be used, and the index of the way that leads to it. */
export interface Reached {
  readonly link: CacheLink;
  readonly way: number;
}

/**
 * Tries the ways with these indices, one after the other. Resolves to a usable link, or to null after posting why there is
 * none. An aborted try posts nothing.
 */
export async function attemptCache(
  attempt: number,
  ways: readonly number[],
  deps: AttemptDeps,
  signal: AbortSignal,
): Promise<Reached | null> {
  const absences = new Set<string>();
  let failure: Failure | null = null;
  for (const way of ways) {
    try {
      const found = await deps.find(way, (target) => deps.onTarget(way, target), signal);
      if (typeof found === "string") {
        absences.add(found);
        continue;
      }
      deps.post({ type: "found", attempt, endpoints: found.endpoints });
      return { link: await found.connect(), way };
    } catch (error) {
      if (signal.aborted) return null;
      // Of several the one that is preferred.
      failure ??= toFailure(error);
    }
  }
  if (failure === null) deps.post({ type: "absent", attempt, text: [...absences].join("; ") });
  else deps.post({ type: "failed", attempt, failure });
  return null;
}

/** What went wrong, in the form that states and warnings hold. */
export function toFailure(error: unknown): Failure {
  if (error instanceof TetherError) return { code: error.code, text: error.message, remedy: error.remedy };
  return { code: "link-failed", text: messageOf(error), remedy: undefined };
}
