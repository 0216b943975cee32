// Looks at everything that must be right for a cache to be used.

import type { Logger } from "pino";
import type { ConfigPaths } from "../config/dirs.js";
import type { Config } from "../config/schema.js";
import { askDaemon } from "../control/client.js";
import type { StatusReport } from "../control/messages.js";
import { unknownCache } from "../control/unknown-cache.js";
import { createDiscovery } from "../sources/discovery.js";
import { TetherError } from "../util/errors.js";
import { arrange, type CachePlan, type Result } from "./check.js";
import { examine } from "./examine.js";
import { looks } from "./looks.js";
import type { Machine } from "./machine.js";
import { createMachines } from "./machines.js";
import { once, type Once } from "./once.js";
import { planCaches } from "./plan.js";
import { createWebsites } from "./website.js";

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

/** For all checks of one cache by one way, and again for each further one, in milliseconds. */
const wholeMs = 90_000;
const statusMs = 5_000;

/** Resolves to all results in order. @throws TetherError `unknown-cache` */
export async function runDoctor(options: DoctorOptions): Promise<Result[]> {
  const { cache, env, log, signal, onResult } = options;
  const load = once(options.load);
  const config = await load(signal).catch(() => null);
  const names = Object.keys(config?.caches ?? {});
  if (config !== null && cache !== null && !names.includes(cache)) throw unknownCache(cache, names);
  const status = statusOf(options.controlSocket);
  // Some lead through others.
  const all = await planCaches(config?.caches ?? {}, status, signal);
  const caches = all.filter(({ name }) => cache === null || name === cache);
  const discovery = createDiscovery({ log, includeLoopback: true });
  const machines = createMachines(all, { discovery, env, log });
  const openMachines = (name: string): Machine[] =>
    all
      .flatMap((one) => (one.name === name ? one.ways : []))
      .flatMap((way) => (way.depth === "whole" ? (machines.get(way) ?? []) : []));
  const websites = createWebsites(caches, { discovery, env, openMachines });
  const parts = { config, caches, machines, websites, status, discovery };
  const lookAt = looks({ ...options, ...parts, load: () => load(signal) });
  const checks = arrange(config === null ? [someCache(cache)] : caches, lookAt);
  const ways = checks.filter(({ id }) => id === "name").length;
  try {
    return await examine(checks, { wholeMs: wholeMs * Math.max(1, ways), signal, onResult });
  } finally {
    for (const one of [...machines.values(), ...websites.values()]) one.close();
    await discovery.close();
  }
}

/** Without a configuration nobody knows of any caches, and one stands for them. */
function someCache(name: string | null): CachePlan {
  return { name, kind: "ssh", ways: [{ label: null, depth: "whole", rule: null }] };
}

/** Rejects with code `no-daemon` where none runs. */
function statusOf(controlSocket: () => string): Once<StatusReport> {
  return once(async () => {
    const reply = await askDaemon(controlSocket(), { command: "status" }, { timeoutMs: statusMs });
    if (!reply.ok) throw new TetherError(reply.code, reply.message, { remedy: reply.remedy });
    return reply.status;
  });
}
