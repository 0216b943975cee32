// The daemon's life from start to signal: `nix-tether run`.

import type { Config } from "../config/schema.js";
import type { Dirs } from "../config/dirs.js";
import type { Logger } from "pino";
import type { startDaemon } from "./compose.js";

/** Runs until SIGTERM or SIGINT; resolves to the exit code. Rejects with a TetherError when it can not start. */
export async function runDaemon(options: {
  readonly config: Config;
  readonly dirs: Dirs;
  readonly log: Logger;
  readonly env: NodeJS.ProcessEnv;
}): Promise<number> {
  const { config, log } = options;
  const signal = nextSignal();
  const start = await loadDaemon();
  const daemon = await start(options);
  log.info({ caches: Object.keys(config.caches).join(",") || "none" }, "nix-tether is running");
  log.info({ signal: await signal }, "stopping");
  await daemon.stop();
  log.info("stopped");
  return 0;
}

/** In parts: all of it at once would keep a small machine's event loop from turning for a third of a second. */
async function loadDaemon(): Promise<typeof startDaemon> {
  await import("../link/ssh-link.js");
  await import("../sources/netmon.js");
  await import("../sources/discovery.js");
  return (await import("./compose.js")).startDaemon;
}

/** The first signal that asks us to leave. A second one ends the process at once, as the system's default. */
function nextSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => resolve(name));
  });
}
