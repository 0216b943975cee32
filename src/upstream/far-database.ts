// What is asked of a machine about its Nix database as a whole: the list of all paths, and when its files were written.

import type { RemoteFacts, RemoteFiles } from "../link/link.js";
import { SftpError } from "../link/sftp-channel.js";
import { eachValidPath } from "../protocol/operations.js";
import { withDeadline } from "../util/abort.js";
import { TetherError } from "../util/errors.js";
import type { DaemonClient } from "./daemon-client.js";
import { canHold, type DatabaseState } from "./database-state.js";
import { makePathIndex, type PathIndex } from "./path-index.js";

/** Four bytes each; whoever has more is asked path by path. */
const mostPaths = 2_000_000;

/** What is fetched to see how fast the link is, in bytes. */
const sampleBytes = 64 * 1024;

/** What cannot be told from no time at all, on the machine and on the way, in milliseconds. */
const noiseMs = 5;

/**
 * When the files of the database at `path` were written. On Linux: there a program's folder in /proc is no younger than its
 * clock. Rejects with an SftpError, or code `timeout` after `ms` milliseconds.
 */
export async function readState(files: RemoteFiles, path: string, ms: number): Promise<DatabaseState> {
  const asked = Promise.all([files.stat(path), ifThere(files, `${path}-wal`), files.stat("/proc/self")]);
  const [database, walFile, own] = await withDeadline(asked, ms, "looking at the Nix database");
  return { database, log: walFile?.size === 0 ? null : walFile, nowAtLeast: own.modifiedAt };
}

/**
 * How many bytes arrive in a millisecond: so many at least, for the round trip counts as well. Rejects as `readState`.
 */
export async function speedOf(files: RemoteFiles, path: string, ms: number): Promise<number> {
  const sample = async (): Promise<number> => {
    const asked = files.head(path, sampleBytes);
    const { bytes, tookMs } = await withDeadline(asked, ms, "reading the Nix database");
    return bytes.length / Math.max(noiseMs, tookMs);
  };
  // TCP begins slowly after a rest.
  return Math.max(await sample(), await sample());
}

/**
 * Rejects with code `unfit` where the database is a symbolic link: its write-ahead log lies where that leads to. Otherwise as
 * `readState`.
 */
export async function checkPlace(files: RemoteFiles, path: string, ms: number): Promise<void> {
  if (await withDeadline(files.isLink(path), ms, "looking at the Nix database")) {
    throw new TetherError("unfit", "the Nix database is a symbolic link");
  }
}

/**
 * All paths of the store, in one answer of some 80 bytes each, within `ms` milliseconds; `onPath` is called as they arrive.
 * Rejects with code `unfit` where these are too many, or more than a database in that state can hold.
 */
export async function listPaths(
  client: DaemonClient,
  state: DatabaseState,
  ms: number,
  onPath: () => void,
): Promise<PathIndex> {
  let finish: (() => PathIndex) | null = null;
  const list = eachValidPath((count) => {
    if (count > mostPaths) throw new TetherError("unfit", `the store has ${count} paths`);
    if (!canHold(state, count)) throw new TetherError("unfit", "the nix-daemon has another database");
    const maker = makePathIndex(count);
    finish = maker.finish;
    return (path) => {
      onPath();
      maker.add(path);
    };
  });
  await withDeadline(client.ask(list), ms, "listing all paths");
  return (finish as unknown as () => PathIndex)();
}

async function ifThere(files: RemoteFiles, path: string): Promise<RemoteFacts | null> {
  try {
    return await files.stat(path);
  } catch (error) {
    if (error instanceof SftpError && error.status === "missing") return null;
    throw error;
  }
}
