// What the world should look like for a state. Effects compare it with what is and act on the difference.

import type { CacheState } from "./state.js";

/** For one cache. A number is the attempt that something belongs to; null means it should not be. */
export interface Desired {
  /** The try that should be running. */
  readonly attempt: number | null;
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

const nothing = { attempt: null, link: null, listed: false, probe: false, awaited: true, wakeAt: null };

/** Pure; exhaustive over the states. */
export function desired(state: CacheState): Desired {
  switch (state.name) {
    case "online":
      return {
        ...nothing,
        link: state.attempt,
        listed: state.doubt !== "grave",
        probe: state.doubt !== "none",
      };
    case "connecting":
      return { ...nothing, attempt: state.attempt };
    case "offline":
    case "waiting":
      // A laptop that sleeps looks again as soon as it wakes, and what waits for it sleeps with it.
      return {
        ...nothing,
        attempt: state.look.kind === "now" ? state.look.attempt : null,
        wakeAt: state.look.kind === "later" ? state.look.at : null,
      };
    case "paused":
      return { ...nothing, awaited: false };
  }
}
