// Makes sure that a local socket can be put at a path, and that nothing of somebody else's is in the way.

import { chmod, lstat, mkdir, unlink } from "node:fs/promises";
import net from "node:net";
import { dirname } from "node:path";

import { TetherError, messageOf } from "../util/errors.js";

/** sockaddr_un holds 108 bytes, the last of them a zero. */
export const longestSocketPath = 107;

/** A listener that takes longer than this to accept is taken for a live one. */
const knockMs = 1_000;

/** Rejects with code `socket-path-too-long`. */
export function checkLength(path: string): void {
  const length = Buffer.byteLength(path);
  if (length <= longestSocketPath) return;
  throw new TetherError(
    "socket-path-too-long",
    `the socket's path has ${length} bytes, and the system allows ${longestSocketPath}: ${path}`,
    { remedy: "Set XDG_RUNTIME_DIR to a shorter folder, or give the cache a shorter name." },
  );
}

/** Makes the socket's folder where it is missing; rejects with code `socket-folder` unless it is ours alone. */
export async function prepareFolder(path: string): Promise<void> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw unsafeFolder(folder, messageOf(error), error);
  });
  const found = await lstat(folder);
  if (!found.isDirectory()) throw unsafeFolder(folder, "it is not a folder");
  if (found.uid !== process.geteuid?.()) throw unsafeFolder(folder, "it belongs to another user");
  // A folder like /tmp is shared on purpose: to close it would break others.
  if ((found.mode & 0o1000) !== 0) throw unsafeFolder(folder, "it is shared with other users");
  if ((found.mode & 0o777) !== 0o700) await chmod(folder, 0o700);
}

/**
 * Removes a socket that nobody answers on any more. Rejects with code `socket-in-use` when somebody does, or
 * `socket-path-taken` when what is there is no socket of ours; it is left alone then.
 */
export async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch(ignoreMissing);
  if (found === null) return;
  if (!found.isSocket() || found.uid !== process.geteuid?.()) {
    throw new TetherError("socket-path-taken", `${path} exists and is no socket of ours`, {
      remedy: "Look at what it is and move it away.",
    });
  }
  if (await isAnswered(path)) {
    throw new TetherError("socket-in-use", `another process listens on ${path}`, {
      remedy: "Stop the other nix-tether, or wait until it has ended.",
    });
  }
  await unlink(path).catch(ignoreMissing);
}

/** For a file that may be gone already; null is "not there". */
export function ignoreMissing(error: unknown): null {
  if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
  throw error;
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(path);
    const done = (answered: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answered);
    };
    const timer = setTimeout(() => done(true), knockMs);
    socket.once("connect", () => done(true));
    socket.on("error", (error: NodeJS.ErrnoException) => {
      // Anything but these, a full backlog for one, means that somebody is there.
      done(error.code !== "ECONNREFUSED" && error.code !== "ENOENT");
    });
  });
}

function unsafeFolder(folder: string, why: string, cause?: unknown): TetherError {
  return new TetherError("socket-folder", `cannot keep sockets in ${folder}: ${why}`, {
    remedy: "Set XDG_RUNTIME_DIR to a folder that is yours alone.",
    cause,
  });
}
