// Stays subscribed to the services of the system bus: finds which run, follows them as they come and go, and
// connects again when the bus itself was away.

import type { Logger } from "pino";
import { messageOf } from "../../util/errors.js";
import { type BusConnection, openBus } from "./bus-connection.js";
import {
  type BusService,
  type BusSignal,
  type Meaning,
  type ServiceName,
  busServices,
} from "./bus-services.js";
import type { Clock } from "./clock.js";

/** Milliseconds before connecting again; doubles up to the cap while the bus stays away. */
const retry = { first: 1_000, cap: 30_000 };

const dbusName = "org.freedesktop.DBus";

/** Why the set of running services is told: the bus (re)appeared, is away, or a service came or went. */
export type ServicesCause = "bus" | "no bus" | ServiceName;

/** What the watch tells. Nothing is told after `close`. */
export interface BusWatchHandlers {
  /** Told after each connection, after each loss (also when the first attempt fails), and on every change. */
  onServices(running: ReadonlySet<ServiceName>, cause: ServicesCause): void;
  /** A running service said something of interest. */
  onMeaning(service: ServiceName, meaning: Meaning): void;
}

/** A subscription that lasts until it is closed. */
export interface BusWatch {
  close(): void;
}

/** Begins at once, in the background. A missing bus is tried again for ever; it is no error. */
export function watchBus(deps: {
  readonly address: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly handlers: BusWatchHandlers;
}): BusWatch {
  const { address, clock, log, handlers } = deps;
  const stop = new AbortController();

  const visit = async (onSubscribed: () => void): Promise<Error> => {
    const session = createSession(handlers);
    const connection = await openBus(address, session.onSignal, stop.signal);
    try {
      await session.subscribe(connection);
      onSubscribed();
      return await connection.closed;
    } finally {
      session.end();
      connection.close();
    }
  };
  const run = async (): Promise<void> => {
    let wait = retry.first;
    let reported = false;
    while (!stop.signal.aborted) {
      let subscribed = false;
      const reason: unknown = await visit(() => {
        subscribed = true;
        reported = false;
        wait = retry.first;
      }).catch((error: unknown) => error);
      if (stop.signal.aborted) return;
      if (!reported) {
        reported = true;
        log.debug({ reason: messageOf(reason), lost: subscribed }, "no system bus");
        handlers.onServices(new Set(), "no bus");
      }
      await pause(clock, wait, stop.signal);
      wait = Math.min(wait * 2, retry.cap);
    }
  };
  void run();
  return { close: () => stop.abort() };
}

/** One connection's knowledge of who owns which name. */
function createSession(handlers: BusWatchHandlers): {
  readonly onSignal: (signal: BusSignal) => void;
  subscribe(connection: BusConnection): Promise<void>;
  end(): void;
} {
  /** By well-known name: the owner's unique name, or null. What a signal told is newer than any answer. */
  const owners = new Map<string, string | null>();
  let live = false;

  const isRunning = (service: BusService): boolean => typeof owners.get(service.busName) === "string";
  const tell = (cause: ServicesCause): void => {
    const running = busServices.filter(isRunning).map((service) => service.name);
    handlers.onServices(new Set(running), cause);
  };

  return {
    onSignal(signal) {
      if (signal.sender === dbusName) {
        const service = busServices.find(({ busName }) => busName === signal.body[0]);
        if (signal.member !== "NameOwnerChanged" || service === undefined) return;
        owners.set(service.busName, String(signal.body[2]) || null);
        if (live) tell(service.name);
        return;
      }
      // Anybody on the bus may send us a signal directly, match rules or not: only the owner is believed.
      const service = busServices.find(({ busName }) => owners.get(busName) === signal.sender);
      const meaning = live ? service?.meaning(signal) : null;
      if (service && meaning) handlers.onMeaning(service.name, meaning);
    },
    async subscribe(connection) {
      const ownership = busServices.map(({ busName }) => ownerRule(busName));
      const rules = [...ownership, ...busServices.flatMap((service) => service.rules)];
      await Promise.all(rules.map((rule) => connection.addMatch(rule)));
      await Promise.all(
        busServices.map(async ({ busName }) => {
          const owner = await connection.ownerOf(busName);
          if (!owners.has(busName)) owners.set(busName, owner);
        }),
      );
      live = true;
      tell("bus");
    },
    end() {
      live = false;
    },
  };
}

function ownerRule(name: string): string {
  return `type='signal',sender='${dbusName}',interface='${dbusName}',member='NameOwnerChanged',arg0='${name}'`;
}

function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(ms, () => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    });
    const onAbort = (): void => {
      cancel();
      resolve();
    };
    signal.addEventListener("abort", onAbort, { once: true });
  });
}
