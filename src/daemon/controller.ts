// The one writer: folds events into the caches' states, one at a time, and has the effects follow each.

import type { Logger } from "pino";
import { transition } from "../decision/transition.js";
import { initialState, type CacheState } from "../decision/state.js";
import { waysNow, type Network, type Way } from "../decision/ways.js";
import type { Conditions } from "../sources/conditions.js";
import type { CacheEvent, Fact, HostEvent } from "../sources/event.js";

/** The caches' states, by name. */
export type States = ReadonlyMap<string, CacheState>;

/** Anything that may be posted: a fact about one cache, or about the machine and so about all. */
export type Posted = { readonly cache: string; readonly fact: CacheEvent } | { readonly fact: HostEvent };

/** Holds the caches' states. */
export interface Controller {
  /** Queues a fact; resolves when its effects are done. Never rejects. */
  post(posted: Posted): Promise<void>;
  states(): States;
  /** How often a cache was online and then was not, other than by being paused. */
  losses(cache: string): number;
}

/** `apply` brings the world in line with the states and the conditions; it is never run twice at once. */
export function createController(deps: {
  /** The ways to each cache, by its name. */
  readonly ways: ReadonlyMap<string, readonly Way[]>;
  /** As it is at the start. */
  readonly network: Network;
  /** Those that begin as paused. */
  readonly paused: readonly string[];
  readonly apply: (states: States, conditions: Conditions | null) => Promise<void>;
  readonly log: Logger;
  readonly now: () => number;
  readonly random: () => number;
}): Controller {
  const states = new Map<string, CacheState>(
    [...deps.ways.keys()].map((name) => [
      name,
      initialState(deps.now(), { paused: deps.paused.includes(name) }),
    ]),
  );
  let { network } = deps;
  let conditions: Conditions | null = null;
  const losses = new Map<string, number>();
  let tail: Promise<void> = Promise.resolve();

  const fold = (cache: string, fact: Fact): void => {
    const before = states.get(cache);
    if (before === undefined) return;
    const ways = waysNow(cache, deps.ways.get(cache) ?? [], network);
    const after = transition(before, fact, { now: deps.now(), random: deps.random(), ways });
    if (after === before) return;
    states.set(cache, after);
    if (before.name === "online" && after.name !== "online" && after.name !== "paused")
      losses.set(cache, (losses.get(cache) ?? 0) + 1);
    logTransition(deps.log, cache, before, after, fact);
  };

  const step = async (posted: Posted): Promise<void> => {
    if (posted.fact.type === "network") network = posted.fact;
    if ("cache" in posted) fold(posted.cache, posted.fact);
    else for (const cache of states.keys()) fold(cache, posted.fact);
    if (posted.fact.type === "conditions") ({ conditions } = posted.fact);
    try {
      await deps.apply(states, conditions);
    } catch (error) {
      deps.log.error({ err: error }, "could not bring the system in line with its state");
    }
  };

  return {
    post: (posted) => (tail = tail.then(() => step(posted))),
    states: () => states,
    losses: (cache) => losses.get(cache) ?? 0,
  };
}

/** One line per change that a person would care about. */
function logTransition(log: Logger, cache: string, before: CacheState, after: CacheState, fact: Fact): void {
  const changed =
    before.name !== after.name || reasonOf(before) !== reasonOf(after) || linkOf(before) !== linkOf(after);
  if (!changed) {
    log.debug(
      { cache, state: after.name, fact: fact.type, attempt: after.attempt },
      `${cache}: ${fact.type}`,
    );
    return;
  }
  const fields = { cache, from: before.name, to: after.name, by: fact.type };
  switch (after.name) {
    case "online":
      log.info({ ...fields, address: after.connection.address }, `${cache} is online`);
      return;
    case "waiting": {
      const text = `${cache} can not be used: ${after.failure.text}`;
      log.warn({ ...fields, code: after.failure.code, remedy: after.failure.remedy }, text);
      return;
    }
    case "offline":
      log.info(fields, `${cache} is offline: ${after.reason}`);
      return;
    case "connecting":
      log.debug(fields, `${cache}: connecting`);
      return;
    case "paused":
      log.info(fields, `${cache} is paused`);
  }
}

function linkOf(state: CacheState): number | null {
  return state.name === "online" ? state.link : null;
}

function reasonOf(state: CacheState): string | null {
  if (state.name === "waiting") return state.failure.code;
  return state.name === "offline" ? state.reason : null;
}
