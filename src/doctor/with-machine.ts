// Lends a cache's machine, with a discovery of its own, for the time of one command.

import type { CacheConfig } from "../config/schema.js";
import { createLog } from "../daemon/log.js";
import { createDiscovery } from "../sources/discovery.js";
import { createMachine, type Machine } from "./machine.js";

/** Whole commands are shorter, in milliseconds, but for the person who thinks. */
const longestMs = 10 * 60_000;

export async function withMachine<T>(
  options: { readonly name: string; readonly config: CacheConfig; readonly env: NodeJS.ProcessEnv },
  use: (machine: Machine, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { name, config, env } = options;
  const log = quietLog(env);
  const discovery = createDiscovery({ log, includeLoopback: true });
  const machine = createMachine(name, config, { discovery, env, log });
  try {
    return await use(machine, AbortSignal.timeout(longestMs));
  } finally {
    machine.close();
    await discovery.close();
  }
}

/** The command itself says what it finds; the parts that it is made of only where that is wanted. */
export function quietLog(env: NodeJS.ProcessEnv): ReturnType<typeof createLog> {
  return createLog({ env: { ...env, NIX_TETHER_LOG: env["NIX_TETHER_LOG"] ?? "silent" } });
}
