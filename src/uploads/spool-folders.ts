// What lies where in the spool, a folder that only its owner can enter.

import { mkdir, readdir, rename } from "node:fs/promises";
import path from "node:path";
import type { Logger } from "pino";
import { temporaryPrefix } from "../util/durable-file.js";
import { TetherError, messageOf } from "../util/errors.js";

export interface SpoolFolders {
  readonly dir: string;
  /** Where the post-build hook leaves what was built: see hooks/post-build-hook.sh for the format. */
  readonly incoming: string;
  /** `<base name>.json`, one for each path that waits: see entry.ts. */
  readonly entries: string;
  /** Links to the paths that wait, which keep Nix's garbage collector off: see gc-roots.ts. */
  readonly roots: string;
  /** What could not be read, for a person to look at. */
  readonly aside: string;
}

export function spoolFolders(dir: string): SpoolFolders {
  const below = (name: string): string => path.join(dir, name);
  return {
    dir,
    incoming: below("incoming"),
    entries: below("entries"),
    roots: below("roots"),
    aside: below("aside"),
  };
}

/** Makes what is missing. @throws TetherError `spool-unwritable` */
export async function makeFolders(folders: SpoolFolders): Promise<void> {
  const { dir, ...inside } = folders;
  await orUnwritable(dir, async () => {
    for (const folder of Object.values(inside)) await makeFolder(folder);
  });
}

/** Node's own `recursive` says ENOENT of a disk that is full or read-only. */
async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return;
    const parent = path.dirname(folder);
    if (code !== "ENOENT" || parent === folder) throw error;
    await makeFolder(parent);
    await mkdir(folder, { mode: 0o700 });
  }
}

/** Does something that writes to the spool. @throws TetherError `spool-unwritable` where that fails */
export async function orUnwritable<T>(dir: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    throw new TetherError(
      "spool-unwritable",
      `what waits for its upload can not be kept in ${dir}: ${messageOf(error)}`,
      {
        remedy:
          "Make room on that disk, and see to it that it is a folder of yours. What waits there is not lost.",
        cause: error,
      },
    );
  }
}

/** The names of the finished files in a folder, and of the others. */
export async function listFolder(folder: string): Promise<{ finished: string[]; temporary: string[] }> {
  const names = await readdir(folder);
  return {
    finished: names.filter((name) => !name.startsWith(".")),
    temporary: names.filter((name) => name.startsWith(temporaryPrefix)),
  };
}

/** Puts a file that can not be used out of the way, so that it is neither lost nor looked at again. Never rejects. */
export type MoveAside = (file: string, reason: string) => Promise<void>;

export function createMoveAside(folder: string, log: Logger): MoveAside {
  const stuck = new Set<string>();
  return async (file, reason) => {
    // A base name may be as long as a file's name can be.
    const name = `${path.basename(file).slice(0, 200)}.${Date.now().toString(36)}`;
    const kept = path.join(folder, name);
    try {
      await rename(file, kept);
      log.warn({ reason, kept }, "a file in the queue of uploads can not be used; it is kept aside");
    } catch (error) {
      if (stuck.has(file)) return;
      stuck.add(file);
      log.warn({ file, reason, error }, "a file in the queue of uploads can neither be used nor moved");
    }
  };
}
