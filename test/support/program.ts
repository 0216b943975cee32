// The program in a home of its own: as it is built, in a process of its own, or in this one, which takes no time to start.

import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { runProgram } from "../../src/cli/program.js";

export interface ProgramRun {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface ProgramOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly home: string;
  /** Ends it by that signal as soon as something is so. */
  readonly end?: { readonly signal: NodeJS.Signals; readonly when: () => Promise<boolean> };
}

/** Runs a command in this process. */
export async function runHere(
  args: readonly string[],
  { home, env = {} }: Omit<ProgramOptions, "end">,
): Promise<ProgramRun> {
  let out = "";
  let err = "";
  const code = await runProgram(args, {
    env: { PATH: process.env["PATH"], HOME: home, XDG_RUNTIME_DIR: home, ...env },
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (err += text) },
    now: Date.now,
    interrupted: () => new AbortController().signal,
  });
  return { code, out, err };
}

export const mainFile = path.resolve(import.meta.dirname, "../../dist/main.js");

/** Runs what was built to its end. */
export async function runBuilt(args: readonly string[], options: ProgramOptions): Promise<ProgramRun> {
  const { env = {}, home, end } = options;
  const child = spawn(process.execPath, [mainFile, ...args], {
    env: { PATH: process.env["PATH"], HOME: home, XDG_RUNTIME_DIR: home, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let out = "";
  let err = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (err += text));
  const closed = once(child, "close") as Promise<[number | null]>;
  if (end !== undefined) {
    while (child.exitCode === null && !(await end.when())) await sleep(1);
    child.kill(end.signal);
  }
  const [code] = await closed;
  return { code, out, err };
}
