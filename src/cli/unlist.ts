// `nix-tether unlist`: makes Nix forget every cache, with or without a daemon. The service runs it when the daemon
// has ended, however that came about.

import { existsSync } from "node:fs";
import { configPaths } from "../config/dirs.js";
import { createLog } from "../daemon/log.js";
import { createOverrideFile } from "../daemon/override-file.js";
import type { CliContext } from "./context.js";
import { exitCode } from "./exit.js";

/** Silent when there is nothing to do. Returns the exit code. */
export async function unlist(context: CliContext): Promise<number> {
  const { overrideFile } = configPaths(context.env);
  if (!existsSync(overrideFile)) return exitCode.ok;
  const override = createOverrideFile({ path: overrideFile, log: createLog({ env: context.env }) });
  const listed = override.readListed();
  await override.write([]);
  if (listed.length > 0) context.stdout.write(`unlisted ${listed.join(", ")}\n`);
  return exitCode.ok;
}
