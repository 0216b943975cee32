// How a command gets a static cache for itself, and how it ends when the person interrupts it.

import { beginCollection, type Activity } from "../static/activity.js";
import type { CacheFolder } from "../static/cache-folder.js";
import { Interruption, type CliContext } from "./context.js";
import { exitCode } from "./exit.js";

/** For `collect` and `fsckCache`. */
export function aloneIn(
  folder: CacheFolder,
  { stderr }: CliContext,
  waitMs: number,
): (signal: AbortSignal) => Promise<Activity> {
  const onWait = (who: string): void =>
    void stderr.write(`nix-tether: ${folder.label} is in use: ${who}; waiting\n`);
  return (signal) => beginCollection(folder, { signal, waitMs, onWait });
}

/** Runs `work`, which may be interrupted; resolves to its exit code, or the interruption's. */
export async function untilInterrupted(
  context: CliContext,
  work: (signal: AbortSignal) => Promise<number>,
): Promise<number> {
  const signal = context.interrupted();
  try {
    return await work(signal);
  } catch (error) {
    if (!signal.aborted) throw error;
    context.stderr.write("nix-tether: interrupted; what is in the cache is complete\n");
    return signal.reason instanceof Interruption ? signal.reason.exitCode : exitCode.failure;
  }
}
