// Has the daemon ask again for what a cache was said not to have, where something has just been put there.

import { resolveDirs } from "../config/dirs.js";
import { askDaemon } from "../control/client.js";

/** In milliseconds: the daemon asks the machine before it answers. */
const recheckMs = 25_000;

/** Of this cache, or (null) of all. A daemon that can not be asked is not waited for: it asks again by itself, only later. */
export async function recheck(env: NodeJS.ProcessEnv, cache: string | null): Promise<void> {
  try {
    const { controlSocket } = resolveDirs(env);
    await askDaemon(controlSocket, { command: "recheck", cache }, { timeoutMs: recheckMs });
  } catch {
    // None runs, or it does not answer.
  }
}
