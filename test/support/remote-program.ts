// A command of this machine in the place of one on a machine at home, run by a shell as sshd would run it.

import { spawn } from "node:child_process";
import { PassThrough } from "node:stream";

import type { RemoteProgram } from "../../src/link/link.js";

/** Runs `command` by the shell whose words these are; destroying the stream kills it. */
export function runProgram(
  [shell, ...words]: readonly [string, ...string[]],
  command: string,
  env: NodeJS.ProcessEnv,
): RemoteProgram {
  const child = spawn(shell, [...words, "-c", command], { env, stdio: ["ignore", "pipe", "pipe"] });
  const stdout = new PassThrough();
  let stderr = "";
  child.on("error", (error) => stdout.destroy(error));
  child.stderr.on("data", (piece: Buffer) => (stderr += piece.toString()));
  child.stdout.pipe(stdout, { end: false });
  child.on("close", () => stdout.end());
  stdout.on("error", () => undefined).on("close", () => child.kill());
  return Object.defineProperties(stdout, {
    exitCode: { get: () => child.exitCode },
    stderrTail: { get: () => stderr },
  }) as unknown as RemoteProgram;
}
