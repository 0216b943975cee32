// Runs a program that may take long and start others, as a process group of its own: called off, the whole group ends.

import { spawn, type ChildProcess } from "node:child_process";
import { TetherError } from "./errors.js";

export interface GroupOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly signal: AbortSignal;
  /** Milliseconds after which it is ended; left out where it may take as long as it likes. */
  readonly ms?: number;
  /** How long it has, after SIGTERM, to leave in order, in milliseconds. */
  readonly leaveMs?: number;
  /** Told of each whole line of its stderr, of at most 64 KiB. */
  readonly onLine?: (line: string) => void;
}

export interface GroupResult {
  /** Null where a signal has ended it. */
  readonly code: number | null;
  /** At most 16 MiB, from its beginning. */
  readonly stdout: string;
  /** The end of it. */
  readonly stderr: string;
}

const maxStdout = 16 * 1024 * 1024;
const maxStderr = 64 * 1024;

/** What has left the group may hold the pipes for ever; they are waited for so long, in milliseconds. */
const pipesMs = 3_000;

/**
 * Resolves when it has ended, to null where there is no such program. Rejects with code `timeout`, or with the signal's
 * reason, and in either case after its end. It has no stdin and no terminal, so it can ask nothing.
 */
export async function runGroup(
  file: string,
  args: readonly string[],
  options: GroupOptions,
): Promise<GroupResult | null> {
  const { env, cwd, signal, ms, leaveMs = 10_000, onLine } = options;
  signal.throwIfAborted();
  const child = spawn(file, args, {
    env,
    ...(cwd === undefined ? {} : { cwd }),
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const output = { stdout: "", stderr: "" };
  let line = "";
  child.stdout.on("error", () => undefined);
  child.stderr.on("error", () => undefined);
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output.stdout = (output.stdout + text).slice(0, maxStdout);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    output.stderr = (output.stderr + text).slice(-maxStderr);
    const parts = (line + text).split("\n");
    line = (parts.pop() ?? "").slice(0, maxStderr);
    for (const part of parts) onLine?.(part.slice(0, maxStderr));
  });
  let late = false;
  let killer: NodeJS.Timeout | null = null;
  const end = (): void => {
    signalGroup(child.pid, "SIGTERM");
    killer ??= setTimeout(() => signalGroup(child.pid, "SIGKILL"), leaveMs);
  };
  const onLate = (): void => {
    late = true;
    end();
  };
  const timer = ms === undefined ? null : setTimeout(onLate, ms);
  signal.addEventListener("abort", end, { once: true });
  try {
    const code = await ended(child);
    signal.throwIfAborted();
    if (late) throw new TetherError("timeout", `${file}: not done within ${Math.round((ms ?? 0) / 1000)} s`);
    return { code, ...output };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT" && child.pid === undefined) return null;
    throw error;
  } finally {
    signal.removeEventListener("abort", end);
    if (timer !== null) clearTimeout(timer);
    if (killer !== null) clearTimeout(killer);
    // What it has left behind.
    if (signal.aborted || late) signalGroup(child.pid, "SIGKILL");
  }
}

function ended(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
    child.once("exit", (code) => {
      setTimeout(() => {
        child.stdout?.destroy();
        child.stderr?.destroy();
        resolve(code);
      }, pipesMs).unref();
    });
  });
}

function signalGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended by itself.
  }
}
