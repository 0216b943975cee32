// The log of a command that itself says what it finds.

import { createLog } from "../daemon/log.js";

/** The parts that the command is made of speak only where that is wanted. */
export function quietLog(env: NodeJS.ProcessEnv): ReturnType<typeof createLog> {
  return createLog({ env: { ...env, NIX_TETHER_LOG: env["NIX_TETHER_LOG"] ?? "silent" } });
}
