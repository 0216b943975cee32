// `nix-tether status --format waybar`: a line for a bar, once or again whenever it would be another one.

import { setTimeout as sleep } from "node:timers/promises";
import { resolveDirs } from "../config/dirs.js";
import { TetherError, messageOf } from "../util/errors.js";
import { askStatus, chosen } from "./ask-status.js";
import type { CliContext } from "./context.js";
import { exitCode } from "./exit.js";
import { waybarLine, waybarTrouble } from "./waybar-line.js";

const everyMs = 1_000;

/** Resolves to 0, whatever state the caches are in: Waybar hides a module that ends otherwise. */
export async function statusWaybar(
  context: CliContext,
  args: { readonly cache?: string | undefined; readonly watch?: boolean | undefined },
): Promise<number> {
  const { controlSocket } = resolveDirs(context.env);
  const line = async (): Promise<string> => {
    try {
      const report = await askStatus(controlSocket);
      return waybarLine(report, await chosen(report, args.cache));
    } catch (error) {
      // A mistyped name is the one thing that waiting does not mend.
      if (error instanceof TetherError && error.code === "unknown-cache") throw error;
      return waybarTrouble(messageOf(error));
    }
  };
  if (args.watch !== true) {
    context.stdout.write(await line());
    return exitCode.ok;
  }
  const signal = context.interrupted();
  let shown = "";
  while (!signal.aborted) {
    const now = await line();
    if (now !== shown) context.stdout.write(now);
    shown = now;
    await sleep(everyMs, undefined, { signal }).catch(() => undefined);
  }
  return exitCode.ok;
}
