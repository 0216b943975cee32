// `nix-tether run`: reads the configuration and becomes the daemon.

import path from "node:path";
import { setFlagsFromString } from "node:v8";
import { resolveDirs } from "../config/dirs.js";
import type { CliContext } from "./context.js";

/**
 * V8 collects and frees the buffers of what passes through on threads of its own, which spend more on waiting for each
 * other than they do: a fifth of all CPU time where NARs are large.
 */
const v8Flags = ["--no-parallel-scavenge", "--no-concurrent-array-buffer-sweeping"];

/** Runs until told to stop; resolves to the exit code. */
export async function run(context: CliContext, configFile: string | undefined): Promise<number> {
  for (const flag of v8Flags) setFlagsFromString(flag);
  const { env } = context;
  const dirs = resolveDirs(env);
  // One after the other, so that the event loop turns, and a wrong configuration is told before the rest takes its time.
  await import("../config/leaves.js");
  const { configWarnings, loadConfig } = await import("../config/load.js");
  const config = await loadConfig(configFile === undefined ? dirs.configFile : path.resolve(configFile));
  const { createLog } = await import("../daemon/log.js");
  const log = createLog({ env });
  for (const warning of configWarnings(config)) log.warn(warning);
  const { runDaemon } = await import("../daemon/run.js");
  return runDaemon({ config, dirs, log, env });
}
