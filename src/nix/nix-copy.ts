// One `nix copy`, from its start to its end: told what it copies, ended with all that it started.

import { spawn } from "node:child_process";
import { isStorePath } from "../protocol/store-path.js";
import { nixCommand, nixMissing, noSubstitutes } from "./nix-tools.js";

export interface CopyOptions {
  /** Store URLs; by default from the local store. */
  readonly from?: string;
  readonly to: string;
  readonly paths: readonly string[];
  /** That these are derivations, to be copied themselves and not what they build. */
  readonly derivations?: boolean;
  /** By default what they refer to goes with them, as far as it is missing there. */
  readonly recursive?: boolean;
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  /** Told of each path when it begins to be copied. */
  readonly onPath?: (path: string) => void;
}

/** How it ended; `stderr` is the end of what it said. */
export interface CopyResult {
  readonly ok: boolean;
  readonly stderr: string;
}

const maxStderr = 64 * 1024;

/** How long it has to leave in order, in milliseconds. */
const leaveMs = 3_000;

/**
 * Never takes paths from a substituter or builds them. Rejects with code `nix-missing`, or with the signal's reason,
 * after its end.
 */
export async function nixCopy(options: CopyOptions): Promise<CopyResult> {
  const { from, to, paths, derivations = false, recursive = true, env, signal, onPath } = options;
  signal.throwIfAborted();
  const args = [
    ...nixCommand,
    ...noSubstitutes,
    "copy",
    ...(from === undefined ? [] : ["--from", from]),
    "--to",
    to,
    // A nix-daemon does as it is told here only by whom it trusts, who need no signatures; others it asks for them.
    "--no-check-sigs",
    ...(recursive ? [] : ["--no-recursive"]),
    ...(derivations ? ["--derivation"] : []),
    ...paths,
  ];
  // A process group of its own, to be ended as a whole.
  const child = spawn("nix", args, {
    env: { ...env, LC_ALL: "C" },
    stdio: ["ignore", "ignore", "pipe"],
    detached: true,
  });
  let stderr = "";
  let line = "";
  child.stderr.on("error", () => undefined);
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-maxStderr);
    const parts = (line + text).slice(-maxStderr).split("\n");
    line = parts.pop() ?? "";
    for (const part of parts) {
      const path = /copying path '([^']+)'/.exec(part)?.[1];
      if (path !== undefined && isStorePath(path)) onPath?.(path);
    }
  });
  let killer: NodeJS.Timeout | null = null;
  const onAbort = (): void => {
    signalGroup(child.pid, "SIGTERM");
    killer = setTimeout(() => signalGroup(child.pid, "SIGKILL"), leaveMs);
  };
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once("error", (error) => reject(error));
      child.once("close", (exitCode) => resolve(exitCode));
    });
    signal.throwIfAborted();
    return { ok: code === 0, stderr };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw nixMissing("nix");
  } finally {
    signal.removeEventListener("abort", onAbort);
    if (killer !== null) clearTimeout(killer);
  }
}

function signalGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended by itself.
  }
}
