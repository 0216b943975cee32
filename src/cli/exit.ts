// How a command ends: the exit codes, which failure has which, and how a failure is told.

import { TetherError } from "../util/errors.js";
import { printable } from "../util/printable.js";
import type { CliContext } from "./context.js";

/** Documented; scripts and the units depend on them. */
export const exitCode = {
  ok: 0,
  failure: 1,
  /** Trying again does not help. */
  usage: 2,
  offline: 3,
  noDaemon: 4,
  /** systemd does not start us again, and leaves the list to the other one. */
  alreadyRunning: 5,
  buildsFailed: 6,
  pushFailed: 7,
} as const;

/** What the manual says of each. */
export const exitMeanings: Record<keyof typeof exitCode, string> = {
  ok: "All is well.",
  failure: "It failed; what and why is said on the standard error.",
  usage: "The command line or the configuration is wrong.",
  offline: "`status`: a cache that was asked about is not online.",
  noDaemon: "No daemon runs.",
  alreadyRunning:
    "`run`: another daemon of yours runs already. `farm run`: another run of this farm is under way.",
  buildsFailed: "`farm`: some of the builds failed.",
  pushFailed: "`farm`: everything was built, but could not be signed, pushed to a cache, or pushed by git.",
};

const codes: ReadonlyMap<string, number> = new Map([
  ["usage", exitCode.usage],
  ["config-missing", exitCode.usage],
  ["config-unreadable", exitCode.usage],
  ["config-invalid", exitCode.usage],
  ["unknown-cache", exitCode.usage],
  ["unknown-target", exitCode.usage],
  ["no-daemon", exitCode.noDaemon],
  ["already-running", exitCode.alreadyRunning],
  ["unknown-farm", exitCode.usage],
  ["signing-key-unusable", exitCode.usage],
  ["farm-busy", exitCode.alreadyRunning],
]);

/** Tells the user of a failure and returns the exit code it stands for. */
export function fail(error: unknown, context: CliContext): number {
  const { env, stderr } = context;
  const debug = env["NIX_TETHER_LOG"] === "debug" || env["NIX_TETHER_LOG"] === "trace";
  if (error instanceof TetherError) {
    stderr.write(`nix-tether: ${lines(error.message)}\n`);
    if (error.remedy !== undefined) stderr.write(`${lines(error.remedy)}\n`);
  } else {
    stderr.write(`nix-tether: ${lines(error instanceof Error ? error.message : String(error))}\n`);
  }
  if (debug && error instanceof Error) stderr.write(`${error.stack ?? ""}\n`);
  return error instanceof TetherError ? (codes.get(error.code) ?? exitCode.failure) : exitCode.failure;
}

/** Line breaks are ours to keep; whatever else moves a cursor is not. */
function lines(text: string): string {
  return text
    .split("\n")
    .map((line) => /^ */.exec(line)?.[0] + printable(line))
    .join("\n");
}
