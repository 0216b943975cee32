// What the world should look like for a state. Effects compare it with what is and act on the difference.

import type { CacheState } from "./state.js";

/** For one cache. A number is the attempt that something belongs to; null means it should not be. */
export interface Desired {
  /** The try that should be running. */
  readonly attempt: number | null;
  /** The connection that should be in use: listed, forwarded, behind the gateway. */
  readonly link: number | null;
  /** The connection should be asked whether it still answers. */
  readonly probe: boolean;
  /** The machine is being looked for or used: where it is away, a short wait for it is worth while. */
  readonly awaited: boolean;
  /** When to post `due`, in milliseconds since the epoch. */
  readonly wakeAt: number | null;
}

/** Pure; exhaustive over the states. */
export function desired(state: CacheState): Desired {
  switch (state.name) {
    case "online":
      return { attempt: null, link: state.attempt, probe: state.probing, awaited: true, wakeAt: null };
    case "connecting":
      return { attempt: state.attempt, link: null, probe: false, awaited: true, wakeAt: null };
    case "offline":
    case "waiting":
      return {
        attempt: state.look.kind === "now" ? state.look.attempt : null,
        link: null,
        probe: false,
        // A laptop that sleeps looks again as soon as it wakes, and what waits sleeps with it.
        awaited: true,
        wakeAt: state.look.kind === "later" ? state.look.at : null,
      };
    case "paused":
      return { attempt: null, link: null, probe: false, awaited: false, wakeAt: null };
  }
}
