// Lends a cache's machine by each way that is for this network, with a discovery of its own, for the time of one command.

import type { CacheConfig } from "../config/schema.js";
import { createDiscovery } from "../sources/discovery.js";
import { TetherError } from "../util/errors.js";
import type { Machine } from "./machine.js";
import { createMachines } from "./machines.js";
import { planCaches } from "./plan.js";
import { quietLog } from "./quiet-log.js";

/** Whole commands are shorter, in milliseconds, but for the person who thinks. */
const longestMs = 10 * 60_000;

/** In the order of preference, at least one. @throws TetherError `absent` where no way is for this network */
export async function withMachines<T>(
  options: { readonly name: string; readonly config: CacheConfig; readonly env: NodeJS.ProcessEnv },
  use: (machines: readonly Machine[], signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { name, config, env } = options;
  const signal = AbortSignal.timeout(longestMs);
  const log = quietLog(env);
  // By which way the daemon has reached it makes no difference here.
  const noStatus = (): Promise<never> => Promise.reject(new Error("not asked"));
  const caches = await planCaches({ [name]: config }, noStatus, signal);
  const discovery = createDiscovery({ log, includeLoopback: true });
  const machines = createMachines(caches, { discovery, env, log });
  try {
    const open = [...machines].flatMap(([{ depth }, machine]) => (depth === "closed" ? [] : [machine]));
    if (open.length === 0) {
      const rules = [...machines.keys()].map(({ rule }) => rule?.text ?? "");
      throw new TetherError("absent", `${name} is ${[...new Set(rules)].join("; ")}`);
    }
    return await use(open, signal);
  } finally {
    for (const machine of machines.values()) machine.close();
    await discovery.close();
  }
}
