// Watches the machine's network and its sleep. The bus (NetworkManager, systemd-networkd, logind) or the clock
// only says "look again"; what is told is always read afresh from the kernel.

import { isDeepStrictEqual } from "node:util";
import type { Logger } from "pino";
import { messageOf } from "../util/errors.js";
import { systemBusAddress } from "./bus/connection.js";
import { watchBus, type ServicesCause } from "./bus/watch.js";
import { type Clock, systemClock } from "./clock.js";
import { createBurst, type Look } from "./netmon/burst.js";
import { busServices, type Meaning, type ServiceName } from "./netmon/bus-services.js";
import { type NamedConnection, createConnectionNames } from "./netmon/connections.js";
import { type NetworkState, readNetworkState, sameNetwork, samePlace } from "./netmon/network-state.js";
import { createSleepGuard } from "./netmon/sleep-guard.js";
import { takeSleepLock } from "./netmon/sleep-lock.js";
import { createSleepWatch } from "./netmon/sleep-watch.js";

export type { NamedConnection } from "./netmon/connections.js";
export type { NetworkState } from "./netmon/network-state.js";

/** Milliseconds between comparisons where nobody tells of changes. */
const compareEvery = 2_000;

/** What happened to the machine. */
export type NetmonEvent =
  /**
   * Look again: the network as it is now. `changed` says whether it differs from the last state told; where it
   * does not, it may still be another network, or an address that has just become usable. `moved` says whether
   * addresses differ that are more than link-local. `connections` are NetworkManager's, null while it is being asked: then
   * another event follows. `cause` is for the log.
   */
  | {
      readonly type: "network";
      readonly state: NetworkState;
      readonly connections: readonly NamedConnection[] | null;
      readonly changed: boolean;
      readonly moved: boolean;
      readonly cause: string;
    }
  /** The machine will sleep as soon as `done` is called, or 4 s later. `done` may be called more than once. */
  | { readonly type: "sleep"; readonly done: () => void }
  /**
   * The machine has slept, or does not sleep after all. `cause` is `logind`, `clock`, or `overdue`: a sleep was told of,
   * and then neither it nor its end came.
   */
  | { readonly type: "wake"; readonly cause: string };

/** A running watch. */
export interface Netmon {
  /** Who tells at this moment, such as `["NetworkManager", "logind"]`, or `["interfaces"]` while nobody does. */
  readonly watching: readonly string[];
  /** The state last told, or the one found at the start. */
  current(): NetworkState;
  /** Ends the watch, lets the machine sleep, and resolves when nothing is left. No event comes after the call. */
  close(): Promise<void>;
}

/** What the watch needs. */
export interface NetmonDeps {
  readonly log: Logger;
  /** Called for every event, from the event loop, never from within `startNetmon`. */
  readonly onEvent: (event: NetmonEvent) => void;
  /** Whether NetworkManager is asked for its connections; by default it is not, and none are told of. */
  readonly names?: boolean;
  /** D-Bus address; by default the system bus. */
  readonly busAddress?: string;
  /** By default `/sys/class/net`. */
  readonly sysClassNet?: string;
  readonly clock?: Clock;
}

/** Begins to watch. Never throws: where no bus answers, interfaces are compared every 2 s until one does. */
export function startNetmon(deps: NetmonDeps): Netmon {
  const { log, clock = systemClock, sysClassNet, names: named = false } = deps;
  const busAddress = deps.busAddress ?? systemBusAddress();
  let told = readNetworkState(sysClassNet);
  let running: ReadonlySet<ServiceName> = new Set();
  let toldNames: readonly NamedConnection[] | null = null;
  let busWasAway = false;
  let closing: Promise<void> | null = null;

  const emit = (event: NetmonEvent): void => {
    if (closing !== null) return;
    try {
      deps.onEvent(event);
    } catch (error) {
      // It would go up into a timer or into the bus library, which makes an answer to the sender of it.
      log.error(
        { error: messageOf(error), event: event.type },
        "handling an event of the network watch failed",
      );
    }
  };
  const look = (which: Look, cause: string): void => {
    const state = readNetworkState(sysClassNet);
    const changed = !sameNetwork(state, told);
    if (!changed && which === "during") return;
    const moved = !samePlace(state, told);
    told = state;
    toldNames = named ? names.current() : [];
    emit({ type: "network", state, connections: toldNames, changed, moved, cause });
  };

  const names = createConnectionNames({
    property: (of, property) => bus.property("NetworkManager", of, property),
    onKnown: () => {
      if (toldNames === null || !isDeepStrictEqual(toldNames, names.current())) look("first", "names");
    },
    clock,
    log,
  });
  const burst = createBurst(clock, look);
  const guard = createSleepGuard(clock, () => takeSleepLock(busAddress, log));
  const sleep = createSleepWatch(clock, guard, (event) => {
    emit(event);
    if (event.type === "wake") burst.poke("wake");
  });

  const compare = (): void => {
    if (!sameNetwork(readNetworkState(sysClassNet), told)) burst.poke("interfaces");
  };
  let stopComparing: (() => void) | null = clock.every(compareEvery, compare);

  const onServices = (now: ReadonlySet<ServiceName>, cause: ServicesCause<ServiceName>): void => {
    if (closing !== null) return;
    running = now;
    log.info({ cause, watching: watchingOf(now) }, "watching the network");
    sleep.setListening(now.has("logind"));
    if (tellsNetwork(now)) {
      stopComparing?.();
      stopComparing = null;
    } else {
      stopComparing ??= clock.every(compareEvery, compare);
    }
    if (named && cause !== "logind" && cause !== "networkd") {
      if (now.has("NetworkManager")) names.ask();
      else names.forget();
    }
    if (cause === "no bus") {
      busWasAway = true;
    } else if (cause === "bus") {
      // Right after the start only a change since then is worth telling.
      look(busWasAway ? "first" : "during", "bus");
    } else if (cause !== "logind") {
      burst.poke(cause);
    }
  };
  const onMeaning = (service: ServiceName, meaning: Meaning): void => {
    if (closing !== null) return;
    if (named && service === "NetworkManager") names.ask();
    if (meaning.type === "look") burst.poke(`${service} ${meaning.what}`);
    else if (meaning.type === "sleep") sleep.toldSleep();
    else sleep.toldWake(service);
  };
  const handlers = { onServices, onMeaning };
  const bus = watchBus({ address: busAddress, services: busServices, clock, log, handlers });

  return {
    get watching() {
      return watchingOf(running);
    },
    current: () => told,
    close() {
      closing ??= sleep.close();
      bus.close();
      names.close();
      burst.stop();
      stopComparing?.();
      stopComparing = null;
      return closing;
    },
  };
}

function tellsNetwork(running: ReadonlySet<ServiceName>): boolean {
  return busServices.some((service) => service.tellsNetwork && running.has(service.name));
}

function watchingOf(running: ReadonlySet<ServiceName>): string[] {
  return tellsNetwork(running) ? [...running] : ["interfaces", ...running];
}
