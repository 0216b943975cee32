// `nix-tether status`: asks the daemon and says what it said, as text, as JSON, or by the exit code alone.

import { resolveDirs } from "../config/dirs.js";
import type { StatusReport } from "../control/messages.js";
import { TetherError } from "../util/errors.js";
import { askStatus, chosen, codeFor } from "./ask-status.js";
import { appearance, type CliContext } from "./context.js";
import { exitCode } from "./exit.js";

export interface StatusArguments {
  readonly cache?: string | undefined;
  readonly json?: boolean | undefined;
  readonly quiet?: boolean | undefined;
  readonly watch?: boolean | undefined;
  readonly plain?: boolean | undefined;
}

/** Resolves to the exit code. */
export async function status(context: CliContext, args: StatusArguments): Promise<number> {
  const { controlSocket } = resolveDirs(context.env);
  if (args.watch === true) return (await import("./watch.js")).watch(context, args, controlSocket);
  const report = await askStatus(controlSocket).catch((error: unknown) => {
    // That no daemon runs is an answer, too.
    if (args.quiet === true && error instanceof TetherError && error.code === "no-daemon") return null;
    throw error;
  });
  if (report === null) return exitCode.noDaemon;
  const names = await chosen(report, args.cache);
  if (args.quiet !== true) context.stdout.write(await rendered(context, args, report, names));
  return codeFor(report, names);
}

async function rendered(
  context: CliContext,
  { json, plain }: StatusArguments,
  report: StatusReport,
  names: readonly string[],
): Promise<string> {
  if (json === true) return `${JSON.stringify(report, null, 2)}\n`;
  const { statusText } = await import("./status-text.js");
  return statusText(report, names, { now: context.now(), ...appearance(context, { plain: plain === true }) });
}
