// One cache on a web server, examined in the daemon's own ways: where it is, and whether it answers as a cache.

import type { CacheConfig, HttpCacheConfig } from "../config/schema.js";
import type { CacheLink } from "../daemon/cache-link.js";
import { absence } from "../daemon/cache-target.js";
import { waysOf } from "../daemon/cache-ways.js";
import { baseOf, findByHttp, loginTo } from "../daemon/find-http.js";
import { serverOf } from "../upstream/http/road.js";
import type { LookupResult } from "../sources/discovery.js";
import { TetherError } from "../util/errors.js";
import { createMachine, searchAdvice, type MachineDeps } from "./machine.js";
import { once, type Once } from "./once.js";
import type { PlannedCache } from "./plan.js";
import type { WayPlan } from "./ways.js";

/** Every measurement is made once; those that need another one make that first. */
export interface Website {
  readonly config: HttpCacheConfig;
  readonly base: URL;
  /** Null where another machine looks it up. Rejects with code `absent` where nobody answers to the name. */
  readonly located: Once<LookupResult | null>;
  /** Rejects with why it can not be used. */
  readonly reached: Once<CacheLink>;
  /** Whether a name and a password go there. */
  readonly withLogin: Once<boolean>;
  /** Whether it came about; false as well where nobody has tried. */
  wasReached(): boolean;
  close(): void;
}

/** Those of `caches` that are on web servers. `all` are the configuration's. */
export function createWebsites(
  caches: readonly PlannedCache[],
  all: Readonly<Record<string, CacheConfig>>,
  deps: Omit<MachineDeps, "first">,
): Map<WayPlan, Website> {
  const sites = new Map<WayPlan, Website>();
  for (const way of caches.flatMap(({ ways }) => ways)) {
    if (way.config.type === "http") sites.set(way, createWebsite(way.config, all, deps));
  }
  return sites;
}

function createWebsite(
  config: HttpCacheConfig,
  all: Readonly<Record<string, CacheConfig>>,
  deps: Omit<MachineDeps, "first">,
): Website {
  const { env, discovery } = deps;
  const base = baseOf(config);
  const { host } = serverOf(base);
  const opened: { close(): void }[] = [];
  let closed = false;
  let answered = false;
  const keep = <T extends { close(): void }>(one: T): T => {
    if (closed) one.close();
    opened.push(one);
    return one;
  };
  const located = once(async (signal) => {
    if (config.via !== undefined) return null;
    const result = await discovery.lookup({ host }, signal);
    if (result.endpoints.length > 0) return result;
    throw new TetherError("absent", absence({ host }, result), {
      remedy: searchAdvice(result.how, { host }),
    });
  });
  const viaLink = async (via: string, signal: AbortSignal): Promise<CacheLink["ssh"]> => {
    const cache = all[via];
    if (cache?.type !== "ssh") return null;
    const machine = keep(createMachine(via, waysOf(cache)[0].config, deps));
    const { link, error } = await machine.reached(signal);
    if (link === null && error !== null) throw error;
    return link;
  };
  const reached = once(async (signal) => {
    const link = config.via === undefined ? null : await viaLink(config.via, signal);
    const find = findByHttp({
      configs: [config],
      discovery,
      viaLink: () => link,
      env,
      warnRefused: () => undefined,
    });
    const found = await find(0, () => undefined, signal);
    if (typeof found === "string") throw new TetherError("absent", found);
    const made = keep(await found.connect());
    answered = true;
    return made;
  });
  return {
    config,
    base,
    located,
    reached,
    withLogin: once(async () => (await loginTo(host, config, env)) !== null),
    wasReached: () => answered,
    close: () => {
      closed = true;
      for (const one of opened) one.close();
    },
  };
}
