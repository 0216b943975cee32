// One cache on a web server, examined in the daemon's own ways: where it is, and whether it answers as a cache.

import type { HttpCacheConfig } from "../config/schema.js";
import type { CacheLink } from "../daemon/cache-link.js";
import { absence } from "../daemon/cache-target.js";
import { baseOf, findByHttp, loginTo } from "../daemon/find-http.js";
import { serverOf } from "../upstream/http/road.js";
import type { LookupResult } from "../sources/discovery.js";
import { TetherError } from "../util/errors.js";
import { searchAdvice, type Machine, type MachineDeps, type Reached } from "./machine.js";
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

export interface WebsiteDeps extends Pick<MachineDeps, "discovery" | "env"> {
  /** Those of another cache, by the ways to it that are gone. */
  readonly openMachines: (cache: string) => readonly Machine[];
}

/** Those of `caches` that are on web servers. */
export function createWebsites(caches: readonly PlannedCache[], deps: WebsiteDeps): Map<WayPlan, Website> {
  const sites = new Map<WayPlan, Website>();
  for (const way of caches.flatMap(({ ways }) => ways)) {
    if (way.config.type === "http") sites.set(way, createWebsite(way.config, deps));
  }
  return sites;
}

function createWebsite(config: HttpCacheConfig, deps: WebsiteDeps): Website {
  const { env, discovery, openMachines } = deps;
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
    let failure: TetherError | null = null;
    for (const machine of openMachines(via)) {
      const { link, error } = await machine.reached(signal).catch(withoutLink);
      if (link !== null) return link;
      failure ??= error;
    }
    if (failure !== null) throw failure;
    return null;
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

/** Nobody answers to its name. */
function withoutLink(error: unknown): Pick<Reached, "link" | "error"> {
  if (error instanceof TetherError) return { link: null, error };
  throw error;
}
