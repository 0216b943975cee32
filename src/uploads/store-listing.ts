// What the store's folder tells of what is new in it: lock files that go, and when files were last touched.

import { lstat, opendir } from "node:fs/promises";
import path from "node:path";
import { storeDir } from "../protocol/store-path.js";
import { isUploadable } from "./entry.js";

const lockSuffix = ".lock";

/** Files asked about at a time. A store has hundreds of thousands: to take them all at once would block the event loop. */
const atOnce = 64;

/**
 * The path whose lock has this name in the store's folder. Nix removes a path's lock when it is done with it: the path is
 * valid then, or will not be for now. Null where that is nothing to upload.
 */
export function lockedPath(name: string): string | null {
  if (!name.endsWith(lockSuffix)) return null;
  return uploadable(name.slice(0, -lockSuffix.length));
}

/**
 * What lies in `folder` under a store path's name and was changed since then, and when; both in milliseconds since the epoch.
 * Nix gives every file the same modification time, and by that a fresh change time. Rejects with the system's error.
 */
export async function changedSince(
  folder: string,
  since: number,
  signal: AbortSignal,
): Promise<Map<string, number>> {
  const changed = new Map<string, number>();
  const look = async (name: string): Promise<void> => {
    // It may be gone since.
    const at = await lstat(path.join(folder, name)).then(
      ({ ctimeMs }) => ctimeMs,
      () => -Infinity,
    );
    if (at >= since) changed.set(`${storeDir}/${name}`, at);
  };
  let batch: string[] = [];
  const lookAtBatch = async (): Promise<void> => {
    signal.throwIfAborted();
    await Promise.all(batch.map(look));
    batch = [];
  };
  for await (const { name } of await opendir(folder, { bufferSize: atOnce })) {
    if (uploadable(name) !== null) batch.push(name);
    if (batch.length === atOnce) await lookAtBatch();
  }
  await lookAtBatch();
  return changed;
}

function uploadable(name: string): string | null {
  const storePath = `${storeDir}/${name}`;
  return isUploadable(storePath) ? storePath : null;
}
