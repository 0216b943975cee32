// What becomes of the ways to a cache's machine on the network that we are on: which are looked at, and how far. Pure.

import type { CacheConfig } from "../config/schema.js";
import type { CacheWay } from "../daemon/cache-ways.js";
import { networkWords, waysNow, type Network } from "../decision/ways.js";
import { ok, skipped, type Finding } from "./finding.js";

/** One way, as far as it is looked at. */
export interface WayPlan {
  /** What tells it from the cache's other ways: its host. Null where it is the only one. */
  readonly label: string | null;
  /** `closed`: not at all, as for the daemon. `unused`: all but a login. */
  readonly depth: "whole" | "unused" | "closed";
  /** What the network makes of it; null where it is for all of them. */
  readonly rule: Finding | null;
}

/** A way that the configuration knows. */
export interface PlannedWay extends WayPlan {
  /** The cache as if this were the only way to it. */
  readonly config: CacheConfig;
}

/** `cache` is its name; `used` the host by which the daemon has reached it, or null. */
export function planWays(
  cache: string,
  ways: readonly CacheWay[],
  { network, used }: { readonly network: Network; readonly used: string | null },
): PlannedWay[] {
  const hosts = ways.map(({ host }) => host);
  return ways.map((way, index) => {
    const { config, host } = way;
    const earlier = hosts.slice(0, index).filter((other) => other === host).length;
    const named = earlier === 0 ? host : `${host} (${earlier + 1})`;
    return { label: ways.length === 1 ? null : named, config, ...judge(cache, way, network, used) };
  });
}

function judge(
  cache: string,
  way: CacheWay,
  network: Network,
  used: string | null,
): Pick<WayPlan, "depth" | "rule"> {
  const { each, closed } = waysNow(cache, [way], network);
  if (each[0]?.here !== true) return { depth: "closed", rule: skipped(closed) };
  const here = way.networks === null ? "" : `for this network (${networkWords(network)})`;
  if (!way.onlyWhenAsked) return { depth: "whole", rule: here === "" ? null : ok(here) };
  const forIt = here === "" ? "" : `${here}, but `;
  if (way.host === used) {
    return { depth: "whole", rule: ok(`${forIt}only when you ask for it, as you have`) };
  }
  const text = `${forIt}only when you ask for it (nix-tether connect ${cache}), so no login is tried`;
  return { depth: "unused", rule: skipped(text) };
}
