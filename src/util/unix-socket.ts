// Puts a listening unix socket at a path: for our user alone from its first moment, and taken away only while it is ours.

import { randomInt } from "node:crypto";
import { chmod, link, lstat, unlink } from "node:fs/promises";
import type { Server } from "node:net";
import { dirname, join } from "node:path";

export interface SocketPlace {
  /** Whether the socket is still there, and nothing else in its place. */
  stands(): Promise<boolean>;
  /** Removes the socket if it is still there. Does not close the server. */
  remove(): Promise<void>;
}

/**
 * Has `server` listen at `path`, mode 0600. Rejects with the system's error, EEXIST where something is there already,
 * and closes the server.
 *
 * It binds to a passing name and links that to the path, so that the socket never shows with another mode, and because
 * libuv unlinks, on close, the name it was bound to, whoever's file has that name by then.
 */
export async function listenAt(server: Server, path: string): Promise<SocketPlace> {
  // Short, so that it fits (sun_path(7)) where the path fits.
  const passing = join(
    dirname(path),
    `.${randomInt(36 ** 4)
      .toString(36)
      .padStart(4, "0")}`,
  );
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(passing, () => {
        server.removeListener("error", reject);
        resolve();
      });
    });
    await chmod(passing, 0o600);
    await link(passing, path);
    await unlink(passing);
  } catch (error) {
    server.close();
    throw error;
  }
  const identity = await identify(path);
  const stands = async (): Promise<boolean> => identity !== null && (await identify(path)) === identity;
  return {
    stands,
    remove: async () => {
      if (await stands()) await unlink(path).catch(() => undefined);
    },
  };
}

/** Tells a file from another one that was put in its place; null where there is none. */
async function identify(path: string): Promise<string | null> {
  const found = await lstat(path, { bigint: true }).catch(() => null);
  return found === null ? null : `${found.dev}:${found.ino}`;
}
