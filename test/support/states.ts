// States of a cache for tests, from what a test cares about.

import type { CacheState } from "../../src/decision/state.js";
import type { WaysNow } from "../../src/decision/ways.js";

/** A connection over an address of 10.0.0.0/24. */
export const connection = { address: "10.0.0.1", port: 22, localAddress: "10.0.0.2" };

/** What every state has. */
export const common = { attempt: 1, ways: [0], since: 0, asked: false };

/** A cache in use by its only way, over the link of this try, with `changes`. */
export function onlineState(
  attempt = 1,
  changes: Partial<Extract<CacheState, { name: "online" }>> = {},
): Extract<CacheState, { name: "online" }> {
  return {
    ...common,
    attempt,
    name: "online",
    link: attempt,
    way: 0,
    connection,
    doubt: "none",
    better: null,
    tries: 0,
    ...changes,
  };
}

/** A cache with one way, which is for every network. */
export const everywhere: WaysNow = { each: [{ here: true, onlyWhenAsked: false }], closed: "" };
