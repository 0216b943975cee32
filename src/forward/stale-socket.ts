// Clears the place where a local socket will be put, unless it is in use or somebody else's.

import { lstat, unlink } from "node:fs/promises";
import net from "node:net";

import { TetherError } from "../util/errors.js";

/** A listener that takes longer than this to accept is taken for a live one. */
const knockMs = 1_000;

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
function ignoreMissing(error: unknown): null {
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
