// The decision: what a fact makes of a cache's state. Pure: no clock, no randomness, no effect of its own.

import type { NetworkState } from "../sources/netmon.js";
import type { CacheEvent, Connection, Fact } from "../sources/event.js";
import { isRefusal, signPause } from "./backoff.js";
import { followWays, seek, seekLater, seekSoon } from "./follow-ways.js";
import {
  absent,
  commonOf,
  isBarred,
  isHeld,
  isResting,
  isTrying,
  lookAgain,
  lookNow,
  rest,
  startLook,
  waiting,
  type Moment,
  type Online,
  type Waiting,
} from "./looks.js";
import type { CacheState } from "./state.js";

/** The state after `fact`; the very same object where the fact changes nothing. */
export function transition(state: CacheState, fact: Fact, moment: Moment): CacheState {
  return followWays(state, step(state, fact, moment), fact, moment);
}

/** Without regard to the ways that are open. */
function step(state: CacheState, fact: Fact, moment: Moment): CacheState {
  switch (fact.type) {
    case "pause":
      return state.name === "paused" ? state : { ...commonOf(state), name: "paused", since: moment.now };
    case "resume":
    case "connect":
      if (state.name === "paused") return lookNow(state, "resumed", moment);
      // Whoever has mended something need not wait for the next try.
      if (isResting(state)) return lookAgain(state, "resumed", moment);
      return state.name === "online" && state.better?.kind === "later" ? seek(state) : state;
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
      if (state.name === "online" && state.better?.kind === "later") return seek(state);
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
      if (state.name === "online") return onlineReport(state, fact, moment);
      return fact.attempt === state.attempt && isTrying(state) ? onReport(state, fact, moment) : state;
  }
}

/** A report of the connection in use, or of the look for a better way. */
function onlineReport(
  state: Online,
  fact: Extract<CacheEvent, { attempt: number }>,
  moment: Moment,
): CacheState {
  if (fact.attempt !== state.link) {
    if (fact.attempt !== state.attempt || state.better?.kind !== "now") return state;
    if (fact.type === "connected") return connected(state, fact, moment);
    return fact.type === "absent" || fact.type === "failed" ? seekLater(state, moment) : state;
  }
  if (fact.type === "closed") return lookNow(state, fact.failure.text, moment);
  if (fact.type !== "probed") return state;
  if (!fact.alive) return lookNow(state, "it stopped answering", moment);
  return { ...state, doubt: "none" };
}

/** A report of the try that is under way. */
function onReport(
  state: CacheState,
  fact: Extract<CacheEvent, { attempt: number }>,
  moment: Moment,
): CacheState {
  switch (fact.type) {
    case "found":
      // A retry after a failure stays "waiting" until it succeeds, so that its reason does not flicker.
      return state.name === "offline"
        ? { ...commonOf(state), name: "connecting", since: moment.now, tries: state.tries }
        : state;
    case "absent":
      return absent(state, fact.text, moment);
    case "connected":
      return connected(state, fact, moment);
    case "failed":
      return waiting(state, fact.failure, moment);
    case "closed":
    case "probed":
      return state;
  }
}

function connected(
  state: CacheState,
  fact: Extract<CacheEvent, { type: "connected" }>,
  moment: Moment,
): CacheState {
  return {
    ...commonOf(state),
    name: "online",
    since: state.name === "online" ? state.since : moment.now,
    link: fact.attempt,
    way: fact.way,
    connection: fact.connection,
    // The cable may have been pulled in the same breath, and nobody has told of it yet.
    doubt: carries(fact.network, fact.connection) ? "none" : "grave",
    better: null,
    tries: 0,
  };
}

function onWake(state: CacheState, moment: Moment): CacheState {
  if (state.name === "paused" || isBarred(state)) return state;
  // Only the clock told of this sleep: the far end may have given the connection up long ago.
  return state.name === "online" ? { ...state, doubt: "grave" } : lookAgain(state, "just woke up", moment);
}

function onNetwork(
  state: CacheState,
  { state: network, moved }: Extract<Fact, { type: "network" }>,
  moment: Moment,
): CacheState {
  if (state.name === "paused" || isHeld(state) || isBarred(state)) return state;
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
    if (fact.kind === "announced" && state.better?.kind === "later") return seekSoon(state, moment);
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
