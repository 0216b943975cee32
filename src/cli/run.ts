// `nix-tether run`: reads the configuration and becomes the daemon.

import path from "node:path";
import { resolveDirs } from "../config/dirs.js";
import type { CliContext } from "./context.js";

/** Runs until told to stop; resolves to the exit code. */
export async function run(context: CliContext, configFile: string | undefined): Promise<number> {
  const { env } = context;
  const dirs = resolveDirs(env);
  // One after the other, so that the event loop turns, and a wrong configuration is told before the rest takes its time.
  const { configWarnings, loadConfig } = await import("../config/load.js");
  const config = await loadConfig(configFile === undefined ? dirs.configFile : path.resolve(configFile));
  const { createLog } = await import("../daemon/log.js");
  const log = createLog({ env });
  for (const warning of configWarnings(config)) log.warn(warning);
  const { runDaemon } = await import("../daemon/run.js");
  return runDaemon({ config, dirs, log, env });
}
