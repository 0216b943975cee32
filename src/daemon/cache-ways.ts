// The ways to a cache in the order of preference: its `host` or `url`, then `ways`.

import type { CacheConfig, Config, HttpCacheConfig, SshCacheConfig, WayConfig } from "../config/schema.js";
import type { NetworkRule, Way } from "../decision/ways.js";
import { canonicalAddress } from "../util/ip-address.js";

/** One way. */
export interface CacheWay<C extends CacheConfig = CacheConfig> extends Way {
  /** The cache as if this were the only way to it. */
  readonly config: C;
  /** Where it leads, for people. */
  readonly host: string;
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
export function waysOf<C extends CacheConfig>(cache: C): readonly [CacheWay<C>, ...CacheWay<C>[]];
export function waysOf(cache: CacheConfig): readonly [CacheWay, ...CacheWay[]] {
  return cache.type === "http" ? httpWays(cache) : sshWays(cache);
}

function sshWays(cache: SshCacheConfig): readonly [CacheWay, ...CacheWay[]] {
  // What is browsed for stands for `host`; elsewhere multicast does not reach.
  const { service: _service, instance: _instance, ...elsewhere } = cache;
  const others = cache.ways.map(({ host, port = cache.port, ...way }) => ({
    ...wayOf(way),
    host,
    config: { ...elsewhere, host, ...(port === undefined ? {} : { port }) },
  }));
  return [{ ...wayOf(cache), host: cache.host, config: cache }, ...others];
}

function httpWays(cache: HttpCacheConfig): readonly [CacheWay, ...CacheWay[]] {
  const { via: _via, ...elsewhere } = cache;
  const others = cache.ways.map(({ url, via, ...way }) => ({
    ...wayOf({ ...way, uploads: false }),
    host: hostIn(url, via),
    config: { ...elsewhere, url, ...(via === undefined ? {} : { via }) },
  }));
  return [
    { ...wayOf({ ...cache, uploads: false }), host: hostIn(cache.url, cache.via), config: cache },
    ...others,
  ];
}

function hostIn(url: string, via: string | undefined): string {
  const { host } = new URL(url);
  return via === undefined ? host : `${host} through ${via}`;
}

function wayOf(
  way: Pick<WayConfig, "networks" | "uploads" | "only-when-asked">,
): Omit<CacheWay, "config" | "host"> {
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
