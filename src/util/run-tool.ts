// Runs a small program (`ssh -G`, `ssh-keygen -F`, `systemctl --user show-environment`) to its end, within bounds.

import { execFile } from "node:child_process";
import { TetherError } from "./errors.js";

const defaultMaxBytes = 1024 * 1024;

/** How a program ended and what it said. */
export interface ToolResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs `file` (looked up in `env.PATH`) with an empty stdin. Resolves to null when there is no such program.
 * Rejects with code `timeout` after `ms` milliseconds, with `tool-failed` when it dies by a signal or says more
 * than `maxBytes` (by default 1 MiB), and with the signal's reason when aborted; the program is killed in each case.
 */
export function runTool(
  file: string,
  args: readonly string[],
  options: { env: NodeJS.ProcessEnv; ms: number; signal?: AbortSignal | undefined; maxBytes?: number },
): Promise<ToolResult | null> {
  const { env, ms, signal, maxBytes = defaultMaxBytes } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason as Error);
      return;
    }
    const settings = {
      env,
      timeout: ms,
      killSignal: "SIGKILL" as const,
      maxBuffer: maxBytes,
      ...(signal === undefined ? {} : { signal }),
    };
    const child = execFile(file, args, settings, (error, stdout, stderr) => {
      if (error === null) resolve({ code: 0, stdout, stderr });
      else if (signal?.aborted === true) reject(signal.reason as Error);
      else if (error.code === "ENOENT") resolve(null);
      else if (typeof error.code === "number") resolve({ code: error.code, stdout, stderr });
      else if (error.killed === true && error.code === undefined) {
        reject(new TetherError("timeout", `${file}: no answer within ${ms} ms`));
      } else reject(new TetherError("tool-failed", `${file}: ${error.message}`, { cause: error }));
    });
    child.stdin?.on("error", () => undefined);
    child.stdin?.end();
  });
}
