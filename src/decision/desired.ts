// What the world should look like for a state. Effects compare it with what is and act on the difference.

import type { CacheState, Look } from "./state.js";

/** For one cache. A number is the attempt that something belongs to; null means it should not be. */
export interface Desired {
  /** The try that should be running. */
  readonly attempt: number | null;
  /** The ways that it should go, by their index, in this order. */
  readonly ways: readonly number[];
  /** The connection that should be in use: forwarded, behind the gateway. */
  readonly link: number | null;
  /** Nix should be told of the cache, as soon as all of the connection is in use. */
  readonly listed: boolean;
  /** The connection should be asked whether it still answers. */
  readonly probe: boolean;
  /** The machine is being looked for or used: where it is away, a short wait for it is worth while. */
  readonly awaited: boolean;
  /** When to post `due`, in milliseconds since the epoch. */
  readonly wakeAt: number | null;
}

const nothing = {
  attempt: null,
  ways: [],
  link: null,
  listed: false,
  probe: false,
  awaited: true,
  wakeAt: null,
};

/** Pure; exhaustive over the states. */
export function desired(state: CacheState): Desired {
  switch (state.name) {
    case "online":
      return {
        ...nothing,
        ...tried(state.better, state.ways),
        link: state.link,
        listed: state.doubt !== "grave",
        probe: state.doubt !== "none",
        wakeAt: state.better?.kind === "later" ? state.better.at : null,
      };
    case "connecting":
      return { ...nothing, attempt: state.attempt, ways: state.ways };
    case "offline":
    case "waiting":
      // A laptop that sleeps looks again as soon as it wakes, and what waits for it sleeps with it.
      return {
        ...nothing,
        ...tried(state.look, state.ways),
        awaited: state.look.kind !== "barred",
        wakeAt: state.look.kind === "later" ? state.look.at : null,
      };
    case "paused":
      return { ...nothing, awaited: false };
  }
}

function tried(look: Look | null, ways: readonly number[]): Pick<Desired, "attempt" | "ways"> {
  return look?.kind === "now" ? { attempt: look.attempt, ways } : { attempt: null, ways: [] };
}
