// Where a machine is: addresses as they are, `.local` names and services by multicast, other names by the
// system's resolver. Every lookup asks afresh; nothing is remembered but what a watch compares with, and for a second what
// nobody will repeat.

import type { NetworkInterfaceInfo } from "node:os";

import type { Logger } from "pino";

import type { Endpoint } from "../link/link.js";
import { messageOf } from "../util/errors.js";
import { askFor } from "./discovery/asking.js";
import { createPicture, endpointKey, MAX_ENDPOINTS, type Question } from "./discovery/picture.js";
import { createRecent } from "./discovery/recent.js";
import type { HeardRecord } from "./discovery/records.js";
import { createResolver } from "./discovery/resolver.js";
import { createSockets } from "./discovery/sockets.js";
import { type LookupTarget, type MulticastTarget, parseTarget, targetKey } from "./discovery/target.js";
import { createWatching, type News, type Watching } from "./discovery/watching.js";

export type { LookupTarget, News };

/** What a lookup has found, and by which way. No endpoints: nobody answered in time. */
export interface LookupResult {
  readonly endpoints: readonly Endpoint[];
  readonly how: "address" | "mdns" | "service" | "resolver";
  /** Only for `eager`, and only by multicast: the others, a moment later. Never rejects. */
  readonly more?: Promise<readonly Endpoint[]>;
}

/** When a lookup by multicast ends; it is a moment after the first answer where neither is set. */
export interface LookupOptions {
  /** At the first answer; what comes a moment later is in `more`. */
  readonly eager?: boolean;
  /** At the deadline: more than one machine may answer. */
  readonly thorough?: boolean;
}

/** Finds machines, and hears them announce themselves. */
export interface Discovery {
  /**
   * Asks now. Resolves to every address known within the deadline (1.5 s by multicast, 2 s by the resolver),
   * possibly none; rejects only when aborted. By multicast the first machine that answers ends it, unless `thorough`.
   */
  lookup(target: LookupTarget, signal: AbortSignal, options?: LookupOptions): Promise<LookupResult>;
  /**
   * Calls back when multicast says something unasked about the target: it announced itself (all its known
   * addresses), or it said goodbye (the addresses withdrawn). Answers to other machines' questions count as
   * announcements; answers to lookups of this object do not. Returns the unsubscribe function. Silent for
   * targets that multicast does not know.
   */
  watch(target: LookupTarget, onNews: (news: News) => void): () => void;
  /**
   * The interfaces have changed or may have: sockets are rebuilt where they differ. Idempotent, and cheap
   * when nothing changed. `force` rebuilds all, for changes that cannot be seen from here.
   */
  refresh(options?: { force?: boolean }): void;
  /** Closes the sockets; lookups under way end with what they have, later ones find nothing by multicast. */
  close(): Promise<void>;
}

/** What discovery needs. `interfaces` is `os.networkInterfaces` unless a test says otherwise. */
export interface DiscoveryDeps {
  readonly log: Logger;
  readonly interfaces?: () => NodeJS.Dict<NetworkInterfaceInfo[]>;
  /** Ask on the loopback interface too, and believe a loopback address that is heard there. */
  readonly includeLoopback?: boolean;
}

interface Watched {
  readonly watching: Watching;
  readonly subscribers: Set<(news: News) => void>;
}

/** Creates a discovery. It opens no socket before the first multicast lookup or watch. */
export function createDiscovery(deps: DiscoveryDeps): Discovery {
  const { log, includeLoopback = false } = deps;
  const resolver = createResolver();
  const recent = createRecent();
  const listeners = new Set<(link: string, records: readonly HeardRecord[]) => void>();
  const watched = new Map<string, Watched>();
  const lookups = new Map<AbortController, string>();
  let used = false;

  const sockets = createSockets({
    ...deps,
    includeLoopback,
    onRecords: (link, records) => {
      const now = performance.now();
      recent.hear({ link, records, at: now, wallAt: Date.now() });
      for (const listener of listeners) listener(link, records);
      const underWay = new Set(lookups.values());
      for (const [key, { watching }] of watched) {
        if (!underWay.has(key)) watching.hear(link, records, now);
      }
    },
    onGone: (link, same) => {
      if (!same) recent.forget(link);
      for (const { watching } of watched.values()) watching.forget(link);
    },
  });

  const openSockets = (): void => {
    used = true;
    sockets.refresh(false);
  };

  const lookUpByMulticast = async (
    target: MulticastTarget,
    signal: AbortSignal,
    { eager = false, thorough = false }: LookupOptions,
  ): Promise<Omit<LookupResult, "how">> => {
    openSockets();
    const key = targetKey(target);
    const picture = createPicture(target);
    const now = (): number => performance.now();
    for (const { link, records, at } of recent.packets(Date.now())) picture.apply(link, records, at);
    const stop = new AbortController();
    const onAbort = (): void => stop.abort();
    signal.addEventListener("abort", onAbort, { once: true });
    lookups.set(stop, key);
    let onAnswered: () => void = () => undefined;
    const answered = new Promise<void>((resolve) => (onAnswered = resolve));
    const asking = { ask: sockets.ask, listen, now, thorough, onAnswered };
    const whole = askFor(picture, asking, stop.signal).then(() => {
      lookups.delete(stop);
      signal.removeEventListener("abort", onAbort);
      if (!signal.aborted) watched.get(key)?.watching.adopt(picture, now());
      return picture.endpoints();
    });
    if (eager) await Promise.race([answered, whole]);
    else await whole;
    signal.throwIfAborted();
    const endpoints = picture.endpoints();
    if (!eager) return { endpoints };
    const known = new Set(endpoints.map(endpointKey));
    return { endpoints, more: whole.then((all) => all.filter((one) => !known.has(endpointKey(one)))) };
  };

  const listen = (onRecords: (link: string, records: readonly HeardRecord[]) => void): (() => void) => {
    listeners.add(onRecords);
    return () => listeners.delete(onRecords);
  };

  const startWatching = (target: MulticastTarget): Watched => {
    const subscribers = new Set<(news: News) => void>();
    const tell = (news: News): void => {
      for (const subscriber of subscribers) subscriber(news);
    };
    const ask = (questions: readonly Question[]): void => void sockets.ask([questions]);
    return { subscribers, watching: createWatching(createPicture(target), tell, ask) };
  };

  const lookUpByResolver = async (name: string, signal: AbortSignal): Promise<readonly Endpoint[]> => {
    try {
      return (await resolver.resolve(name, signal)).slice(0, MAX_ENDPOINTS);
    } catch (error) {
      signal.throwIfAborted();
      log.debug({ name, error: messageOf(error) }, "the resolver found nothing");
      return [];
    }
  };

  return {
    lookup: async (asked, signal, options = {}) => {
      signal.throwIfAborted();
      const target = parseTarget(asked);
      switch (target.kind) {
        case "address":
          return { endpoints: [target.endpoint], how: "address" };
        case "resolver":
          return { endpoints: await lookUpByResolver(target.name, signal), how: "resolver" };
        case "mdns":
        case "service":
          return { ...(await lookUpByMulticast(target, signal, options)), how: target.kind };
      }
    },
    watch: (asked, onNews) => {
      const target = parseTarget(asked);
      if (target.kind === "address" || target.kind === "resolver") return () => undefined;
      const key = targetKey(target);
      const entry = watched.get(key) ?? startWatching(target);
      watched.set(key, entry);
      const subscriber = (news: News): void => onNews(news);
      entry.subscribers.add(subscriber);
      openSockets();
      return () => {
        entry.subscribers.delete(subscriber);
        if (entry.subscribers.size > 0 || watched.get(key) !== entry) return;
        watched.delete(key);
        entry.watching.stop();
      };
    },
    refresh: (options = {}) => {
      if (options.force === true) resolver.networkChanged();
      if (used) sockets.refresh(options.force === true);
    },
    close: async () => {
      for (const stop of lookups.keys()) stop.abort();
      for (const { watching } of watched.values()) watching.stop();
      watched.clear();
      await sockets.close();
    },
  };
}
