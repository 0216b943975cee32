// The life of one cache as a union that cannot be nonsense. Times are milliseconds since the epoch.

import type { Connection, Failure } from "../sources/event.js";

/** A look for the machine that is going on, the time of the next one, or held: asleep, only waking up ends it. */
export type Look =
  | { readonly kind: "now"; readonly attempt: number }
  | { readonly kind: "later"; readonly at: number }
  | { readonly kind: "held" };

/**
 * Whether something suggests that the machine of a standing connection may be gone. `mild`: it is asked, and
 * listed meanwhile. `grave`, such as after a sleep: it is not listed until it has answered.
 */
export type Doubt = "none" | "mild" | "grave";

/**
 * `tries` counts the failures since the last success or network event: it sets the next delay.
 * `attempt` is the number of the try that is under way or that made the connection; it only grows.
 */
export type CacheState = { readonly attempt: number; readonly since: number } & (
  | { readonly name: "offline"; readonly reason: string; readonly tries: number; readonly look: Look }
  | { readonly name: "connecting"; readonly tries: number }
  | { readonly name: "online"; readonly connection: Connection; readonly doubt: Doubt }
  | {
      readonly name: "waiting";
      readonly failure: Failure;
      readonly failedAt: number;
      readonly tries: number;
      /** `later`: resting; `now`: the retry is under way, and the old failure still tells the story. */
      readonly look: Look;
    }
  | { readonly name: "paused" }
);

/** The state of a cache that nobody has looked for yet, or that was paused before. */
export function initialState(now: number, { paused = false } = {}): CacheState {
  if (paused) return { name: "paused", attempt: 0, since: now };
  return {
    name: "offline",
    attempt: 0,
    since: now,
    reason: "not looked for yet",
    tries: 0,
    look: { kind: "later", at: now },
  };
}
