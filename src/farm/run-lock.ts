// One run of a farm at a time: a lock of the kernel's (flock(2)) on a file that says who holds it. However that process
// ends, the lock ends with it.

import { spawn } from "node:child_process";
import { constants } from "node:fs";
import { open, readFile, type FileHandle } from "node:fs/promises";
import { withDeadline } from "../util/abort.js";
import { readBounded } from "../util/durable-file.js";
import { TetherError } from "../util/errors.js";

/** Who holds a lock. */
export interface LockOwner {
  readonly pid: number;
  /** Milliseconds since the epoch. */
  readonly since: number;
  /** When that process began, as the kernel counts it: tells it from a later one with its number. */
  readonly startTime: string;
}

export interface RunLock {
  release(): Promise<void>;
}

/** Exit code for "somebody else has it". */
const heldCode = 75;

/** Resolves to the lock, or to what is known of its owner. @throws TetherError `farm-lock` */
export async function takeRunLock(
  file: string,
  now: number,
): Promise<RunLock | { readonly owner: LockOwner | null }> {
  const handle = await open(file, constants.O_RDWR | constants.O_CREAT, 0o600).catch((error: unknown) => {
    throw lockFailed(file, (error as Error).message, error);
  });
  try {
    const code = await flock(handle, file);
    if (code === heldCode) {
      await handle.close();
      return { owner: await readOwner(file) };
    }
    if (code !== 0) throw lockFailed(file, `flock ended with ${code}`);
    await write(handle, { pid: process.pid, since: now, startTime: (await startTimeOf(process.pid)) ?? "" });
  } catch (error) {
    await handle.close().catch(() => undefined);
    throw error;
  }
  return {
    release: async () => {
      await handle.truncate(0).catch(() => undefined);
      await handle.close();
    },
  };
}

/** Who is running at this moment, without touching the lock; null where nobody is. */
export async function currentRun(file: string): Promise<LockOwner | null> {
  const owner = await readOwner(file);
  if (owner === null) return null;
  return (await startTimeOf(owner.pid)) === owner.startTime ? owner : null;
}

/** The program locks the open file that we share with it, and leaves: from then on the lock is ours alone. */
function flock(handle: FileHandle, file: string): Promise<number | null> {
  const child = spawn("flock", ["--exclusive", "--nonblock", "--conflict-exit-code", String(heldCode), "3"], {
    stdio: ["ignore", "ignore", "ignore", handle.fd],
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("close", resolve);
    child.once("error", (error) => reject(lockFailed(file, error.message, error)));
  });
  return withDeadline(ended, 10_000, `locking ${file}`);
}

async function write(handle: FileHandle, owner: LockOwner): Promise<void> {
  await handle.truncate(0);
  await handle.write(`${JSON.stringify(owner)}\n`, 0);
}

async function readOwner(file: string): Promise<LockOwner | null> {
  try {
    const { pid, since, startTime } = JSON.parse(await readBounded(file, 4096)) as Partial<LockOwner>;
    if (typeof pid !== "number" || typeof since !== "number" || typeof startTime !== "string") return null;
    return { pid, since, startTime };
  } catch {
    // It may just be written.
    return null;
  }
}

/** Field 22 of proc_pid_stat(5); the second may hold spaces and brackets. */
async function startTimeOf(pid: number): Promise<string | null> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => null);
  return text === null ? null : (text.slice(text.lastIndexOf(")") + 2).split(" ")[19] ?? null);
}

function lockFailed(file: string, why: string, cause?: unknown): TetherError {
  return new TetherError("farm-lock", `the farm's lock ${file} can not be taken: ${why}`, {
    remedy: "The program flock (util-linux) must be on the PATH, and the folder must be yours.",
    cause,
  });
}
