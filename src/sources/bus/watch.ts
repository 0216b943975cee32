// Stays subscribed to the services of the system bus: finds which run, follows them as they come and go, and
// connects again when the bus itself was away. What their signals mean is the caller's to say.

import type { Logger } from "pino";
import { messageOf } from "../../util/errors.js";
import { type BusConnection, type BusObject, openBus } from "./connection.js";
import type { BusSignal } from "./signals.js";
import type { Clock } from "../clock.js";

/** Milliseconds before connecting again; doubles up to the cap while the bus stays away. */
const retry = { first: 1_000, cap: 30_000 };

const dbusName = "org.freedesktop.DBus";

/** A service that may or may not run, now or later. */
export interface WatchedService<Name extends string, Meaning> {
  readonly name: Name;
  readonly busName: string;
  /** Match rules for the signals wanted. With `sender=` they need no running service. */
  readonly rules: readonly string[];
  /** Null for signals that say nothing of interest. The caller has checked the sender. */
  meaning(signal: BusSignal): Meaning | null;
}

/** Why the set of running services is told: the bus (re)appeared, is away, or a service came or went. */
export type ServicesCause<Name extends string> = "bus" | "no bus" | Name;

/** What the watch tells. Nothing is told after `close`. */
export interface BusWatchHandlers<Name extends string, Meaning> {
  /** Told after each connection, after each loss (also when the first attempt fails), and on every change. */
  onServices(running: ReadonlySet<Name>, cause: ServicesCause<Name>): void;
  /** A running service said something of interest. */
  onMeaning(service: Name, meaning: Meaning): void;
}

/** A subscription that lasts until it is closed. */
export interface BusWatch<Name extends string> {
  /** A property as the service says it now. Rejects where it does not run or does not answer. */
  property(service: Name, of: BusObject, property: string): Promise<unknown>;
  close(): void;
}

/** Begins at once, in the background. A missing bus is tried again for ever; it is no error. */
export function watchBus<Name extends string, Meaning>(deps: {
  readonly address: string;
  readonly services: readonly WatchedService<Name, Meaning>[];
  readonly clock: Clock;
  readonly log: Logger;
  readonly handlers: BusWatchHandlers<Name, Meaning>;
}): BusWatch<Name> {
  const { address, services, clock, log, handlers } = deps;
  const stop = new AbortController();
  let current: Session<Name> | null = null;

  const visit = async (onSubscribed: () => void): Promise<Error> => {
    const session = createSession(services, handlers);
    const connection = await openBus(address, session.onSignal, stop.signal);
    try {
      current = session;
      await session.subscribe(connection);
      onSubscribed();
      return await connection.closed;
    } finally {
      current = null;
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
  return {
    property: async (service, of, property) => {
      if (current === null) throw new Error("there is no system bus");
      return current.property(service, of, property);
    },
    close: () => stop.abort(),
  };
}

/** One connection's knowledge of who owns which name. */
interface Session<Name extends string> {
  readonly onSignal: (signal: BusSignal) => void;
  subscribe(connection: BusConnection): Promise<void>;
  property(service: Name, of: BusObject, property: string): Promise<unknown>;
  end(): void;
}

function createSession<Name extends string, Meaning>(
  services: readonly WatchedService<Name, Meaning>[],
  handlers: BusWatchHandlers<Name, Meaning>,
): Session<Name> {
  /** By well-known name: the owner's unique name, or null. What a signal told is newer than any answer. */
  const owners = new Map<string, string | null>();
  let subscribed: BusConnection | null = null;

  const ownerOf = ({ busName }: WatchedService<Name, Meaning>): string | null => owners.get(busName) ?? null;
  const tell = (cause: ServicesCause<Name>): void => {
    const running = services.filter((service) => ownerOf(service) !== null).map((service) => service.name);
    handlers.onServices(new Set(running), cause);
  };

  return {
    onSignal(signal) {
      if (signal.sender === dbusName) {
        const service = services.find(({ busName }) => busName === signal.body[0]);
        if (signal.member !== "NameOwnerChanged" || service === undefined) return;
        owners.set(service.busName, String(signal.body[2]) || null);
        if (subscribed !== null) tell(service.name);
        return;
      }
      // Anybody on the bus may send us a signal directly, match rules or not: only the owner is believed.
      const service = services.find((one) => ownerOf(one) === signal.sender);
      const meaning = subscribed === null ? null : service?.meaning(signal);
      if (service && meaning) handlers.onMeaning(service.name, meaning);
    },
    async subscribe(connection) {
      const ownership = services.map(({ busName }) => ownerRule(busName));
      const rules = [...ownership, ...services.flatMap((service) => service.rules)];
      await Promise.all(rules.map((rule) => connection.addMatch(rule)));
      await Promise.all(
        services.map(async ({ busName }) => {
          const owner = await connection.ownerOf(busName);
          if (!owners.has(busName)) owners.set(busName, owner);
        }),
      );
      subscribed = connection;
      tell("bus");
    },
    async property(name, of, property) {
      const service = services.find((one) => one.name === name);
      const owner = service === undefined ? null : ownerOf(service);
      if (subscribed === null || owner === null) throw new Error(`${name} does not run`);
      return subscribed.property(owner, of, property);
    },
    end() {
      subscribed = null;
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
