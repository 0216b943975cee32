// Finds out which ways to the caches' machines are for the network that we are on.

import type { CacheConfig } from "../config/schema.js";
import type { StatusReport } from "../control/messages.js";
import { allWays } from "../daemon/cache-ways.js";
import { needNames } from "../decision/ways.js";
import { askConnections } from "../sources/netmon/ask-connections.js";
import { readNetworkState } from "../sources/netmon/network-state.js";
import type { Once } from "./once.js";
import { planWays, type PlannedWay } from "./ways.js";

/** A cache of the configuration. */
export interface PlannedCache {
  readonly name: string;
  readonly config: CacheConfig;
  readonly kind: CacheConfig["type"];
  /** In the order of preference. */
  readonly ways: readonly PlannedWay[];
}

/** NetworkManager and the daemon are asked only where they matter. Never rejects. `status` is the daemon's. */
export async function planCaches(
  caches: Readonly<Record<string, CacheConfig>>,
  status: Once<StatusReport>,
  signal: AbortSignal,
): Promise<PlannedCache[]> {
  const ways = allWays({ caches });
  const all = [...ways.values()].flat();
  const [connections, report] = await Promise.all([
    needNames(all) ? askConnections(signal) : [],
    all.some(({ onlyWhenAsked }) => onlyWhenAsked) ? status(signal).catch(() => null) : null,
  ]);
  const network = { state: readNetworkState(), connections };
  return Object.entries(caches).map(([name, config]) => {
    const used = report?.caches[name]?.way?.host ?? null;
    return { name, config, kind: config.type, ways: planWays(name, ways.get(name) ?? [], { network, used }) };
  });
}
