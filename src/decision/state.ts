// The life of one cache as a union that cannot be nonsense. Times are milliseconds since the epoch.

import type { Connection, Failure } from "../sources/event.js";

/**
 * A look for the machine that is going on, the time of the next one, held (asleep, only waking up ends it), or barred: no
 * way to it is open, until another network or a person opens one.
 */
export type Look =
  | { readonly kind: "now"; readonly attempt: number }
  | { readonly kind: "later"; readonly at: number }
  | { readonly kind: "held" }
  | { readonly kind: "barred" };

/**
 * Whether something suggests that the machine of a standing connection may be gone. `mild`: it is asked, and
 * listed meanwhile. `grave`, such as after a sleep: it is not listed until it has answered.
 */
export type Doubt = "none" | "mild" | "grave";

/** What every state has. */
interface Common {
  /** The number of the latest try; it only grows. */
  readonly attempt: number;
  /** The ways that the latest try goes, by their index, in the order of preference. */
  readonly ways: readonly number[];
  readonly since: number;
  /** A person has asked for it, so that ways count which are for that case only. */
  readonly asked: boolean;
}

/** `tries` counts the failures since the last success or network event: it sets the next delay. */
export type CacheState = Common &
  (
    | { readonly name: "offline"; readonly reason: string; readonly tries: number; readonly look: Look }
    | { readonly name: "connecting"; readonly tries: number }
    | {
        readonly name: "online";
        /** The number of the try that made the connection. */
        readonly link: number;
        /** The index of the way that it goes. */
        readonly way: number;
        readonly connection: Connection;
        readonly doubt: Doubt;
        /** The look for a way that is preferred to this one, beside the connection; null where none is open. */
        readonly better: Extract<Look, { kind: "now" | "later" }> | null;
        readonly tries: number;
      }
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
  const common: Common = { attempt: 0, ways: [], since: now, asked: false };
  if (paused) return { ...common, name: "paused" };
  return {
    ...common,
    name: "offline",
    reason: "not looked for yet",
    tries: 0,
    look: { kind: "later", at: now },
  };
}
