// Where local sockets are kept: in a folder that only its owner can enter, under a path that the system can take.

import { chmod, lstat, mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { TetherError, messageOf } from "./errors.js";

/** sockaddr_un holds 108 bytes, the last of them a zero; Node would cut a longer path short without a word. */
const longestSocketPath = 107;

/** Throws `socket-path-too-long`. */
export function checkLength(path: string): void {
  const length = Buffer.byteLength(path);
  if (length <= longestSocketPath) return;
  throw new TetherError(
    "socket-path-too-long",
    `the socket's path has ${length} bytes, and the system allows ${longestSocketPath}: ${path}`,
    { remedy: "Set XDG_RUNTIME_DIR to a shorter folder, or for a cache's socket shorten the cache's name." },
  );
}

/**
 * Makes the folder of the socket at `path` where it is missing, but not the folder around that. Rejects with code
 * `socket-folder` unless it is ours alone.
 */
export async function prepareFolder(path: string): Promise<void> {
  const folder = dirname(path);
  await mkdir(folder, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw unsafe(folder, messageOf(error), error);
  });
  const found = await lstat(folder);
  if (!found.isDirectory()) throw unsafe(folder, "it is not a folder");
  if (found.uid !== process.geteuid?.()) throw unsafe(folder, "it belongs to another user");
  // A folder like /tmp is shared on purpose: to close it would break others.
  if ((found.mode & 0o1000) !== 0) throw unsafe(folder, "it is shared with other users");
  if ((found.mode & 0o777) !== 0o700) await chmod(folder, 0o700);
}

function unsafe(folder: string, why: string, cause?: unknown): TetherError {
  return new TetherError("socket-folder", `sockets can not be kept in ${folder}: ${why}`, {
    remedy: "Set XDG_RUNTIME_DIR to an existing folder that only you can enter.",
    cause,
  });
}
