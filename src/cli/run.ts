// `nix-tether run`: reads the configuration and becomes the daemon.

import path from "node:path";
import { resolveDirs } from "../config/dirs.js";
import { configWarnings, loadConfig } from "../config/load.js";
import { createLog } from "../daemon/log.js";
import type { CliContext } from "./context.js";

/** Runs until told to stop; resolves to the exit code. */
export async function run(context: CliContext, configFile: string | undefined): Promise<number> {
  const { env } = context;
  const dirs = resolveDirs(env);
  const config = await loadConfig(configFile === undefined ? dirs.configFile : path.resolve(configFile));
  const log = createLog({ env });
  for (const warning of configWarnings(config)) log.warn(warning);
  // Only now: what the daemon is made of takes a while to load, and a wrong configuration should be told at once.
  const { runDaemon } = await import("../daemon/run.js");
  return runDaemon({ config, dirs, log, env });
}
