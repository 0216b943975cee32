// The ways to a cache's machine in the order of preference: its `host`, then `ways`.

import type { CacheConfig, Config, WayConfig } from "../config/schema.js";
import type { NetworkRule, Way } from "../decision/ways.js";
import { canonicalAddress } from "../util/ip-address.js";

/** One way. */
export interface CacheWay extends Way {
  /** The cache as if this were the only way to it. */
  readonly config: CacheConfig;
  /** Whether uploads may go this way. */
  readonly uploads: boolean;
}

/** By the caches' names. */
export type Ways = ReadonlyMap<string, readonly CacheWay[]>;

/** The ways to every cache. */
export function allWays({ caches }: Pick<Config, "caches">): Ways {
  return new Map(Object.entries(caches).map(([name, cache]) => [name, waysOf(cache)]));
}

/** At least one. */
export function waysOf(cache: CacheConfig): readonly [CacheWay, ...CacheWay[]] {
  // What is browsed for stands for `host`; elsewhere multicast does not reach.
  const { service: _service, instance: _instance, ...elsewhere } = cache;
  const others = cache.ways.map(({ host, port = cache.port, ...way }) => ({
    ...wayOf(way),
    config: { ...elsewhere, host, ...(port === undefined ? {} : { port }) },
  }));
  return [{ ...wayOf(cache), config: cache }, ...others];
}

function wayOf(way: Pick<WayConfig, "networks" | "uploads" | "only-when-asked">): Omit<CacheWay, "config"> {
  return {
    networks: way.networks?.map(networkRule) ?? null,
    onlyWhenAsked: way["only-when-asked"],
    uploads: way.uploads,
  };
}

/** As the schema lets it through: a plain word is a connection's name. */
function networkRule(text: string): NetworkRule {
  const [, kind, value = text] = /^(connection|ssid|gateway):(.*)$/.exec(text) ?? [];
  if (kind === "gateway") return { kind, value: canonicalAddress(value) ?? value };
  return { kind: kind === "ssid" ? "ssid" : "connection", value };
}
