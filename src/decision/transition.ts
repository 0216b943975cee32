// The decision: what a fact makes of a cache's state. Pure: no clock, no randomness, no effect of its own.

import type { NetworkState } from "../sources/netmon.js";
import type { CacheEvent, Connection, Fact, Failure } from "../sources/event.js";
import { isRefusal, signPause, retryDelay } from "./backoff.js";
import type { CacheState } from "./state.js";

type Online = Extract<CacheState, { name: "online" }>;
type Waiting = Extract<CacheState, { name: "waiting" }>;

/** What a transition may know besides state and fact. `random` is in [0, 1). */
export interface Moment {
  readonly now: number;
  readonly random: number;
}

/** The state after `fact`; the very same object where the fact changes nothing. */
export function transition(state: CacheState, fact: Fact, moment: Moment): CacheState {
  switch (fact.type) {
    case "pause":
      return state.name === "paused" ? state : { name: "paused", attempt: state.attempt, since: moment.now };
    case "resume":
      if (state.name === "paused") return lookNow(state, "resumed", moment);
      // Whoever has mended something need not wait for the next try.
      return isResting(state) ? lookAgain(state, "resumed", moment) : state;
    case "stop":
      return rest(state, "the daemon is stopping", moment);
    case "sleep":
      return rest(state, "the machine sleeps", moment);
    case "wake":
      return onWake(state, moment);
    case "network":
      return onNetwork(state, fact, moment);
    case "news":
      return onNews(state, fact, moment);
    case "due":
      return isResting(state) ? startLook(state, moment) : state;
    case "conditions":
    case "relist":
    case "tick":
      return state;
    case "found":
    case "absent":
    case "connected":
    case "failed":
    case "closed":
    case "probed":
      return fact.attempt === state.attempt ? onReport(state, fact, moment) : state;
  }
}

/** A report of the try that is under way, or of the connection in use. */
function onReport(
  state: CacheState,
  fact: Extract<CacheEvent, { attempt: number }>,
  moment: Moment,
): CacheState {
  if (state.name === "online") {
    if (fact.type === "closed") return lookNow(state, fact.failure.text, moment);
    if (fact.type !== "probed") return state;
    return fact.alive ? { ...state, doubt: "none" } : lookNow(state, "it stopped answering", moment);
  }
  if (!isTrying(state)) return state;
  switch (fact.type) {
    case "found":
      // A retry after a failure stays "waiting" until it succeeds, so that its reason does not flicker.
      return state.name === "offline"
        ? { name: "connecting", attempt: state.attempt, since: moment.now, tries: state.tries }
        : state;
    case "absent":
      return absent(state, fact.text, moment);
    case "connected":
      return {
        name: "online",
        attempt: state.attempt,
        since: moment.now,
        connection: fact.connection,
        // The cable may have been pulled in the same breath, and nobody has told of it yet.
        doubt: carries(fact.network, fact.connection) ? "none" : "grave",
      };
    case "failed":
      return waiting(state, fact.failure, moment);
    case "closed":
    case "probed":
      return state;
  }
}

function onWake(state: CacheState, moment: Moment): CacheState {
  if (state.name === "paused") return state;
  // Only the clock told of this sleep: the far end may have given the connection up long ago.
  return state.name === "online" ? { ...state, doubt: "grave" } : lookAgain(state, "just woke up", moment);
}

function onNetwork(
  state: CacheState,
  { state: network, moved }: Extract<Fact, { type: "network" }>,
  moment: Moment,
): CacheState {
  if (state.name === "paused" || isHeld(state)) return state;
  if (state.name === "online") {
    if (!carries(network, state.connection)) return lookNow(state, "the network went away", moment);
    // Even where nothing seems to differ it may be another network.
    return doubting(state);
  }
  // What is under way was begun in another network: begin anew.
  if (moved) return lookAgain(state, "the network changed", moment);
  if (!isResting(state)) return state;
  return isRefused(state) ? lookSoon(state, moment) : lookAgain(state, "the network changed", moment);
}

function onNews(state: CacheState, fact: Extract<Fact, { type: "news" }>, moment: Moment): CacheState {
  if (state.name === "paused" || isHeld(state)) return state;
  if (state.name === "online") {
    const stillThere = fact.endpoints.some((endpoint) => endpoint.address === state.connection.address);
    return fact.kind === "announced" && stillThere ? state : doubting(state);
  }
  if (fact.kind === "goodbye" || !isResting(state)) return state;
  return isRefused(state) ? lookSoon(state, moment) : lookAgain(state, "it announced itself", moment);
}

/** The machine is asked whether it answers. */
function doubting(state: Online): CacheState {
  return state.doubt === "none" ? { ...state, doubt: "mild" } : state;
}

function isRefused(state: CacheState): state is Waiting {
  return state.name === "waiting" && isRefusal(state.failure.code);
}

/**
 * For what may happen all day and mean little, such as a stranger that uses the machine's name and announces itself, or
 * a container that starts: a look, but not every time, and without forgetting the failures.
 */
function lookSoon(state: Waiting, moment: Moment): CacheState {
  const at = state.failedAt + signPause;
  if (at <= moment.now) return startLook(state, moment);
  if (state.look.kind === "later" && state.look.at <= at) return state;
  return { ...state, look: { kind: "later", at } };
}

/** Whether the interface that holds the connection's own address still has its carrier. */
function carries(network: NetworkState, connection: Connection): boolean {
  const local = withoutScope(connection.localAddress);
  if (local.startsWith("127.") || local === "::1") return true;
  return network.interfaces.some(
    (one) => one.carrier && one.addresses.some((address) => withoutScope(address) === local),
  );
}

function withoutScope(address: string): string {
  return address.replace(/%.*$/, "").replace(/^::ffff:/, "");
}

function isResting(state: CacheState): boolean {
  return (state.name === "offline" || state.name === "waiting") && state.look.kind === "later";
}

function isTrying(state: CacheState): boolean {
  return (
    state.name === "connecting" ||
    ((state.name === "offline" || state.name === "waiting") && state.look.kind === "now")
  );
}

/** Asleep or stopping: only waking up ends it. */
function isHeld(state: CacheState): boolean {
  return state.name === "offline" && state.look.kind === "held";
}

/** Begins a new try after a rest; keeps the reason and the count of failures. */
function startLook(state: CacheState, moment: Moment): CacheState {
  const attempt = state.attempt + 1;
  const look = { kind: "now", attempt } as const;
  if (state.name === "offline" || state.name === "waiting") return { ...state, attempt, look };
  return lookNow(state, "looking again", moment);
}

/** Begins a new try with the count of failures reset: something has changed. */
function lookAgain(state: CacheState, reason: string, moment: Moment): CacheState {
  if (state.name === "waiting" || state.name === "offline") {
    return startLook({ ...state, tries: 0 }, moment);
  }
  return lookNow(state, reason, moment);
}

function lookNow(state: CacheState, reason: string, moment: Moment): CacheState {
  const attempt = state.attempt + 1;
  return {
    name: "offline",
    attempt,
    since: moment.now,
    reason,
    tries: 0,
    look: { kind: "now", attempt },
  };
}

/** Nothing is tried until the next event: asleep, or stopping. The attempt number grows: old reports are stale. */
function rest(state: CacheState, reason: string, moment: Moment): CacheState {
  if (state.name === "paused") return state;
  return {
    name: "offline",
    attempt: state.attempt + 1,
    since: moment.now,
    reason,
    tries: 0,
    look: { kind: "held" },
  };
}

function absent(state: CacheState, reason: string, moment: Moment): CacheState {
  const tries = triesOf(state) + 1;
  return {
    name: "offline",
    attempt: state.attempt,
    since: state.name === "offline" ? state.since : moment.now,
    reason,
    tries,
    look: { kind: "later", at: moment.now + retryDelay("absent", tries, moment.random) },
  };
}

function waiting(state: CacheState, failure: Failure, moment: Moment): CacheState {
  const tries = triesOf(state) + 1;
  return {
    name: "waiting",
    attempt: state.attempt,
    since: state.name === "waiting" && state.failure.code === failure.code ? state.since : moment.now,
    failure,
    failedAt: moment.now,
    tries,
    look: { kind: "later", at: moment.now + retryDelay(failure.code, tries, moment.random) },
  };
}

function triesOf(state: CacheState): number {
  return "tries" in state ? state.tries : 0;
}
