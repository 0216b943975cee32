// Holds a state to the ways that are open: no try by another, no connection on a network that it is not for, and beside a
// connection by a lesser way now and then a look for a better one. Pure.

import type { Fact } from "../sources/event.js";
import { retryDelay, signPause } from "./backoff.js";
import {
  bar,
  isBarred,
  isHeld,
  isTrying,
  lookNow,
  putOff,
  startLook,
  type Moment,
  type Online,
} from "./looks.js";
import type { CacheState } from "./state.js";
import { openWays, type OpenWays } from "./ways.js";

/**
 * The state that follows from `after`, which a fact has made of `before` without regard to the ways; the very same object
 * where they change nothing.
 */
export function followWays(before: CacheState, after: CacheState, fact: Fact, moment: Moment): CacheState {
  const asked = isAsked(before, after, fact, moment);
  const state = asked === after.asked ? after : { ...after, asked };
  if (state.name === "paused" || isHeld(state)) return state;
  const open = openWays(moment.ways, asked);
  const isNew = state.attempt !== before.attempt;
  if (state.name !== "online") return lookByWays(state, isNew, open, fact, moment);
  if (moment.ways.each[state.way]?.here !== false) return seekByWays(state, isNew, open, fact, moment);
  return lookByWays(lookNow(state, "it is not used on this network", moment), true, open, fact, moment);
}

/** The machine is looked for beside the connection, by the ways that are better. */
export function seek(state: Online): Online {
  const attempt = state.attempt + 1;
  return { ...state, attempt, better: { kind: "now", attempt } };
}

/** The look for a better way has ended in vain. */
export function seekLater(state: Online, moment: Moment): Online {
  const tries = state.tries + 1;
  return { ...state, tries, better: nextSeek(tries, moment) };
}

/** For what may happen all day, such as a stranger that announces itself by the machine's name. */
export function seekSoon(state: Online, moment: Moment): Online {
  const at = moment.now + signPause;
  if (state.better?.kind !== "later" || state.better.at <= at) return state;
  return { ...state, better: { kind: "later", at } };
}

/** Asking lasts until it is not needed any more, and no longer than until the machine sleeps: the way may cost. */
function isAsked(before: CacheState, after: CacheState, { type }: Fact, { ways }: Moment): boolean {
  if (type === "connect") return true;
  if (type === "pause" || type === "sleep" || type === "wake") return false;
  if (after.name === "online" && ways.each[after.way]?.onlyWhenAsked !== true) return false;
  return before.asked;
}

function lookByWays(
  state: CacheState,
  isNew: boolean,
  { ways, settled }: OpenWays,
  fact: Fact,
  moment: Moment,
): CacheState {
  const why = fact.type === "connect" ? "looking for it, as you asked" : "the network changed";
  if (isTrying(state)) {
    if (!settled) return isNew ? putOff(state, moment) : state;
    if (ways.length === 0) return bar(state, moment);
    if (sameWays(state.ways, ways)) return state;
    return { ...(isNew ? state : startLook(state, moment)), ways };
  }
  if (!settled) return state;
  if (ways.length > 0) return isBarred(state) ? { ...lookNow(state, why, moment), ways } : state;
  const isToldSo = state.name === "offline" && isBarred(state) && state.reason === moment.ways.closed;
  return isToldSo ? state : bar(state, moment);
}

function seekByWays(state: Online, isNew: boolean, open: OpenWays, fact: Fact, moment: Moment): CacheState {
  if (!open.settled) return state;
  const ways = open.ways.filter((way) => way < state.way);
  const { better } = state;
  if (ways.length === 0) return better === null ? state : { ...state, better: null, ways: [] };
  if (better?.kind === "now") {
    if (sameWays(state.ways, ways)) return state;
    return { ...(isNew ? state : seek(state)), ways };
  }
  const isTried = ways.every((way) => state.ways.includes(way));
  if (!isTried || (fact.type === "network" && fact.moved)) return { ...seek(state), ways };
  return better === null ? seekLater(state, moment) : state;
}

function nextSeek(tries: number, { now, random }: Moment): Online["better"] {
  return { kind: "later", at: now + retryDelay("better-way", tries, random) };
}

function sameWays(one: readonly number[], other: readonly number[]): boolean {
  return one.join() === other.join();
}
