// The configuration of one cache, for commands that look at its machine themselves.

import path from "node:path";
import { configPaths } from "../config/dirs.js";
import { loadConfig } from "../config/load.js";
import type { CacheConfig } from "../config/schema.js";
import { unknownCache } from "../control/unknown-cache.js";
import type { CliContext } from "./context.js";

/** @throws TetherError as `loadConfig`, and `unknown-cache` */
export async function loadCache(
  { env }: CliContext,
  args: { readonly cache: string; readonly config?: string | undefined },
): Promise<CacheConfig> {
  const file = args.config === undefined ? configPaths(env).configFile : path.resolve(args.config);
  const { caches } = await loadConfig(file);
  const config = caches[args.cache];
  if (config === undefined) throw unknownCache(args.cache, Object.keys(caches));
  return config;
}
