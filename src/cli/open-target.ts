// The static cache that a command is about: found in the configuration, and its folder opened for the time of the command.

import path from "node:path";
import { configPaths } from "../config/dirs.js";
import { loadConfig } from "../config/load.js";
import { configSchema, type Config } from "../config/schema.js";
import { quietLog } from "../doctor/quiet-log.js";
import { createDiscovery } from "../sources/discovery.js";
import type { CacheFolder } from "../static/cache-folder.js";
import { openFolder, type OpenFolderDeps } from "../static/open-folder.js";
import { openSteadily } from "../static/steady-folder.js";
import { resolveTarget, type StaticTarget } from "../static/target.js";
import { TetherError } from "../util/errors.js";
import type { CliContext } from "./context.js";

export interface TargetArguments {
  readonly target: string;
  readonly config?: string | undefined;
}

/** How long a cache's machine may be away in the middle of the work, in milliseconds. */
const patienceMs = 2 * 60_000;

/** @throws TetherError as `loadConfig` and `resolveTarget` do */
export async function findTarget({ env }: CliContext, args: TargetArguments): Promise<StaticTarget> {
  return resolveTarget(args.target, await configFor(env, args.config), process.cwd());
}

/** Rejects as `openFolder` and `use` do. */
export async function withFolder<T>(
  { env, stderr }: CliContext,
  target: StaticTarget,
  signal: AbortSignal,
  use: (folder: CacheFolder) => Promise<T>,
): Promise<T> {
  return withLocate(env, async (deps) => {
    const folder = await openSteadily({
      open: (during) => openFolder(target, deps, during),
      signal,
      patienceMs,
      onCut: ({ message }) => stderr.write(`nix-tether: ${message}; waiting for its return\n`),
    });
    try {
      return await use(folder);
    } finally {
      folder.close();
    }
  });
}

/** What it takes to open folders on other machines, for as long as `use` takes. */
export async function withLocate<T>(
  env: NodeJS.ProcessEnv,
  use: (deps: OpenFolderDeps) => Promise<T>,
): Promise<T> {
  const log = quietLog(env);
  const discovery = createDiscovery({ log, includeLoopback: true });
  const locate: OpenFolderDeps["locate"] = async (host, signal) =>
    (await discovery.lookup({ host }, signal)).endpoints;
  try {
    return await use({ env, log, locate });
  } finally {
    await discovery.close();
  }
}

/** A folder can be named without any configuration. */
async function configFor(env: NodeJS.ProcessEnv, named: string | undefined): Promise<Config> {
  if (named !== undefined) return loadConfig(path.resolve(named));
  try {
    return await loadConfig(configPaths(env).configFile);
  } catch (error) {
    if (error instanceof TetherError && error.code === "config-missing") return configSchema.parse({});
    throw error;
  }
}
