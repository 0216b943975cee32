// `nix-tether pause`, `resume` and `connect`: have the daemon leave a cache alone, or take it up again.

import { resolveDirs } from "../config/dirs.js";
import { askDaemon } from "../control/client.js";
import { reportOf } from "./ask-status.js";
import { appearance, type CliContext } from "./context.js";
import { exitCode } from "./exit.js";
import { statusText } from "./status-text.js";

/** Pausing takes the cache down in order, which waits for what is under way. */
const timeoutMs = 15_000;

/** Does it to `cache`, or to every cache, and shows the state that follows. Resolves to the exit code. */
export async function tellDaemon(
  context: CliContext,
  command: "pause" | "resume" | "connect",
  cache: string | undefined,
): Promise<number> {
  const { controlSocket } = resolveDirs(context.env);
  const reply = await askDaemon(controlSocket, { command, cache: cache ?? null }, { timeoutMs });
  const report = reportOf(reply);
  const names = cache === undefined ? Object.keys(report.caches) : [cache];
  context.stdout.write(statusText(report, names, { now: context.now(), ...appearance(context) }));
  return exitCode.ok;
}
