// The static cache that a command is about, opened.

import path from "node:path";
import { configPaths } from "../config/dirs.js";
import { loadConfig } from "../config/load.js";
import { configSchema, type Config } from "../config/schema.js";
import type { CacheFolder } from "../static/cache-folder.js";
import { createLocalFolder } from "../static/local-folder.js";
import { resolveTarget, type StaticTarget } from "../static/target.js";
import { TetherError } from "../util/errors.js";
import type { CliContext } from "./context.js";

export interface TargetArguments {
  readonly target: string;
  readonly config?: string | undefined;
}

/** @throws TetherError as `loadConfig` and `resolveTarget` do */
export async function findTarget({ env }: CliContext, args: TargetArguments): Promise<StaticTarget> {
  return resolveTarget(args.target, await configFor(env, args.config), process.cwd());
}

export async function openTarget(
  _context: CliContext,
  target: StaticTarget,
  _signal: AbortSignal,
): Promise<CacheFolder> {
  return createLocalFolder(target.place.folder);
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
