// Looks at everything that must be right for a cache to be used.

import type { Logger } from "pino";
import type { ConfigPaths } from "../config/dirs.js";
import type { CacheConfig, Config } from "../config/schema.js";
import { unknownCache } from "../control/unknown-cache.js";
import { createDiscovery } from "../sources/discovery.js";
import { arrange, type Result } from "./check.js";
import { examine } from "./examine.js";
import { looks } from "./looks.js";
import { createMachine } from "./machine.js";
import { once } from "./once.js";

export interface DoctorOptions {
  /** The only cache to look at, or null for all. */
  readonly cache: string | null;
  readonly paths: ConfigPaths;
  /** The daemon's; throws where nobody can say. */
  readonly controlSocket: () => string;
  /** Resolves to the configuration in `configFile`; rejects as `loadConfig`. */
  readonly load: () => Promise<Config>;
  readonly configFile: string;
  readonly env: NodeJS.ProcessEnv;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Told each result as soon as it is known. */
  readonly onResult: (result: Result) => void;
}

/** For all checks of one cache, and again for each further one, in milliseconds. */
const wholeMs = 90_000;

/** Resolves to all results in order. @throws TetherError `unknown-cache` */
export async function runDoctor(options: DoctorOptions): Promise<Result[]> {
  const { env, log, signal, onResult } = options;
  const load = once(options.load);
  const config = await load(signal).catch(() => null);
  const names = Object.keys(config?.caches ?? {});
  if (config !== null && options.cache !== null && !names.includes(options.cache)) {
    throw unknownCache(options.cache, names);
  }
  const chosen = options.cache === null ? names : names.filter((name) => name === options.cache);
  const discovery = createDiscovery({ log, includeLoopback: true });
  const machines = new Map(
    chosen.map((name) => [
      name,
      createMachine(name, config?.caches[name] as CacheConfig, { discovery, env, log }),
    ]),
  );
  const lookAt = looks({ ...options, load: () => load(signal), config, machines, discovery });
  // Without a configuration nobody knows of any caches, and one stands for them.
  const checks = arrange(config === null ? [options.cache] : chosen, lookAt);
  try {
    return await examine(checks, { wholeMs: wholeMs * Math.max(1, chosen.length), signal, onResult });
  } finally {
    for (const machine of machines.values()) machine.close();
    await discovery.close();
  }
}
