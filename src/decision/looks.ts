// The states that a look for the machine goes through: begun, ended in vain, put off, held. Pure.

import type { Failure } from "../sources/event.js";
import { retryDelay } from "./backoff.js";
import type { CacheState } from "./state.js";
import type { WaysNow } from "./ways.js";

/** What a transition may know besides state and fact. `random` is in [0, 1). */
export interface Moment {
  readonly now: number;
  readonly random: number;
  readonly ways: WaysNow;
}

/** A connection in use. */
export type Online = Extract<CacheState, { name: "online" }>;
/** A try that has failed. */
export type Waiting = Extract<CacheState, { name: "waiting" }>;

/** How soon it is looked again where a look had to be put off, in milliseconds. */
const putOffMs = 500;

/** Whether the next look has its time. */
export function isResting(state: CacheState): boolean {
  return (state.name === "offline" || state.name === "waiting") && state.look.kind === "later";
}

/** Whether a look is under way that has no connection beside it. */
export function isTrying(state: CacheState): boolean {
  return (
    state.name === "connecting" ||
    ((state.name === "offline" || state.name === "waiting") && state.look.kind === "now")
  );
}

/** Asleep or stopping: only waking up ends it. */
export function isHeld(state: CacheState): boolean {
  return state.name === "offline" && state.look.kind === "held";
}

/** No way is open. */
export function isBarred(state: CacheState): boolean {
  return state.name === "offline" && state.look.kind === "barred";
}

/** Begins a new try after a rest; keeps the reason and the count of failures. */
export function startLook(state: CacheState, moment: Moment): CacheState {
  const attempt = state.attempt + 1;
  const look = { kind: "now", attempt } as const;
  if (state.name === "offline" || state.name === "waiting") return { ...state, attempt, look };
  return lookNow(state, "looking again", moment);
}

/** Begins a new try with the count of failures reset: something has changed. */
export function lookAgain(state: CacheState, reason: string, moment: Moment): CacheState {
  if (isBarred(state)) return lookNow(state, reason, moment);
  if (state.name === "waiting" || state.name === "offline") {
    return startLook({ ...state, tries: 0 }, moment);
  }
  return lookNow(state, reason, moment);
}

/** Begins a new try from any state, with this reason. */
export function lookNow(state: CacheState, reason: string, moment: Moment): CacheState {
  const attempt = state.attempt + 1;
  return { ...offline(state, moment, reason), attempt, look: { kind: "now", attempt } };
}

/** Nothing is tried until the next event: asleep, or stopping. The attempt number grows: old reports are stale. */
export function rest(state: CacheState, reason: string, moment: Moment): CacheState {
  if (state.name === "paused") return state;
  return { ...offline(state, moment, reason), attempt: state.attempt + 1, look: { kind: "held" } };
}

/** Nothing is tried, for no way is open. */
export function bar(state: CacheState, moment: Moment): CacheState {
  const reason = moment.ways.closed;
  const since = state.name === "offline" ? state.since : moment.now;
  return { ...offline(state, moment, reason), since, attempt: state.attempt + 1, look: { kind: "barred" } };
}

/** A try that has just begun is put off: which ways are open will be known in a moment. */
export function putOff(state: CacheState, moment: Moment): CacheState {
  if (state.name !== "offline" && state.name !== "waiting") return state;
  return { ...state, look: { kind: "later", at: moment.now + putOffMs } };
}

/** The machine was not to be found. */
export function absent(state: CacheState, reason: string, moment: Moment): CacheState {
  const tries = triesOf(state) + 1;
  return {
    ...offline(state, moment, reason),
    since: state.name === "offline" ? state.since : moment.now,
    tries,
    look: { kind: "later", at: moment.now + retryDelay("absent", tries, moment.random) },
  };
}

/** The machine was found, and could not be used. */
export function waiting(state: CacheState, failure: Failure, moment: Moment): CacheState {
  const tries = triesOf(state) + 1;
  return {
    ...commonOf(state),
    name: "waiting",
    since: state.name === "waiting" && state.failure.code === failure.code ? state.since : moment.now,
    failure,
    failedAt: moment.now,
    tries,
    look: { kind: "later", at: moment.now + retryDelay(failure.code, tries, moment.random) },
  };
}

/** What goes on from one state to the next. */
export function commonOf({ attempt, ways, since, asked }: CacheState) {
  return { attempt, ways, since, asked };
}

function offline(state: CacheState, { now }: Moment, reason: string) {
  return { ...commonOf(state), name: "offline" as const, since: now, reason, tries: 0 };
}

function triesOf(state: CacheState): number {
  return "tries" in state ? state.tries : 0;
}
