// How a command ends: the exit codes, which failure has which, and how a failure is told.

import { TetherError } from "../util/errors.js";
import { printable } from "../util/printable.js";
import type { CliContext } from "./context.js";

/** Documented in the README; scripts depend on them. */
export const exitCode = {
  ok: 0,
  failure: 1,
  /** The command line or the configuration is wrong: trying again does not help. */
  usage: 2,
  /** A cache that was asked about is not online. */
  offline: 3,
  noDaemon: 4,
  /** Another daemon runs: systemd does not start us again, and leaves the list to that one. */
  alreadyRunning: 5,
} as const;

const codes: ReadonlyMap<string, number> = new Map([
  ["usage", exitCode.usage],
  ["config-missing", exitCode.usage],
  ["config-unreadable", exitCode.usage],
  ["config-invalid", exitCode.usage],
  ["unknown-cache", exitCode.usage],
  ["no-daemon", exitCode.noDaemon],
  ["already-running", exitCode.alreadyRunning],
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
