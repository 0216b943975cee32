// Notices what is built on this machine without a hook: Nix removes a path's lock when it is done with it. The kernel may
// drop such events, and none come while no daemon runs, so from time to time the store's folder is looked through as well.

import { stat } from "node:fs/promises";
import type { Logger } from "pino";
import { TetherError, messageOf } from "../util/errors.js";
import type { Addition } from "./entry.js";
import type { LocalInfos } from "../nix/path-infos.js";
import { changedSince, lockedPath } from "./store-listing.js";
import { watchFolder } from "./watch-folder.js";
import { readMark, writeMark } from "./watch-mark.js";

export interface StoreWatchOptions {
  /** Where the store's files are. */
  readonly folder: string;
  /** Of its own, in a folder that is there: see watch-mark.ts. */
  readonly markFile: string;
  /** What is known of those that are valid. */
  readonly infos: (paths: readonly string[], signal: AbortSignal) => Promise<LocalInfos>;
  /** Told what was built here; the same path again only where it was built again. */
  readonly onBuilt: (additions: readonly Addition[]) => Promise<void>;
  /** Told what goes wrong, and of its end by null. */
  readonly warn: (code: "builds-unseen", problem: TetherError | null) => void;
  readonly log: Logger;
  readonly now?: () => number;
  /** From one look through the folder to the next, at least, in milliseconds. */
  readonly everyMs?: number;
}

/** Nix is asked about all that comes within this time at once, in milliseconds. */
const settleMs = 1_000;

/** A folder with many paths takes a while; so many times as long it is left alone then. */
const restFactor = 50;

/** A path's files are finished before Nix hashes and registers them: at most this long, in milliseconds. */
const registrationLagMs = 3_600_000;

/** Nix knows whole seconds, and the kernel's clock for files lags behind a little, in milliseconds. */
const blurMs = 2_000;

/** What was registered in this time before its lock went is new, whatever the mark says: clocks are set, in milliseconds. */
const recentMs = 600_000;

/** Takes what is built from now on, and what was built since it was closed or killed the last time. */
export function watchStore(options: StoreWatchOptions): { close(): Promise<void> } {
  const { folder, markFile, infos, onBuilt, warn, log, now = Date.now, everyMs = 60_000 } = options;
  const closing = new AbortController();
  const { signal } = closing;
  /** Everything that was registered before this time was looked at; null until the file was read. */
  let mark: number | null = null;
  /** When those were registered that the next look through the folder finds again. */
  const seen = new Map<string, number>();
  /** The folder's modification time when it was last looked through; null where it must be in any case. */
  let listedAt: number | null = null;
  let restUntil = 0;

  /** Takes those of the paths that were built here since then. */
  const take = async (paths: readonly string[], since: number): Promise<void> => {
    if (paths.length === 0) return;
    const found = await infos(paths, signal);
    const built = [...found].filter(
      ([path, { ultimate, registeredAt }]) =>
        ultimate && registeredAt >= since - blurMs && seen.get(path) !== registeredAt,
    );
    if (built.length > 0) {
      await onBuilt(built.map(([path, info]) => ({ path, deriver: info.deriver, since: info.registeredAt })));
      log.debug({ paths: built.length }, "noticed what was built here");
    }
    for (const [path, { registeredAt }] of found) seen.set(path, registeredAt);
  };

  const lookThrough = async (since: number): Promise<number> => {
    const begun = now();
    const { mtimeMs } = await stat(folder);
    if (mtimeMs === listedAt || performance.now() < restUntil) return since;
    const started = performance.now();
    const changed = await changedSince(folder, since - registrationLagMs, signal);
    const isNew = ([path, at]: [string, number]): boolean => at > (seen.get(path) ?? -Infinity) + blurMs;
    await take(
      [...changed].filter(isNew).map(([path]) => path),
      since,
    );
    for (const path of seen.keys()) if (!changed.has(path)) seen.delete(path);
    listedAt = mtimeMs;
    restUntil = performance.now() + restFactor * (performance.now() - started);
    const until = Math.max(since, begun);
    await writeMark(markFile, until).catch((error: unknown) => {
      log.debug({ error }, "a restart will look through more of the store than it had to");
    });
    return until;
  };

  const watcher = watchFolder({
    folder,
    everyMs,
    settleMs,
    concerns: (name) => lockedPath(name) !== null,
    look: async (isRescan, names) => {
      try {
        // What was built before anybody asked for this is not taken.
        mark ??= (await readMark(markFile)) ?? now();
        const unlocked = names.flatMap((name) => lockedPath(name) ?? []);
        await take(unlocked, Math.min(mark, now() - recentMs));
        if (isRescan) mark = await lookThrough(mark);
        warn("builds-unseen", null);
        return true;
      } catch (error) {
        listedAt = null;
        // The spool says for itself that it can not be used.
        const isSpools = error instanceof TetherError && error.code === "spool-unwritable";
        if (!signal.aborted && !isSpools) warn("builds-unseen", unseen(folder, error));
        return false;
      }
    },
  });
  return {
    close: async () => {
      closing.abort(new Error("the store is not watched any more"));
      await watcher.close();
    },
  };
}

function unseen(folder: string, error: unknown): TetherError {
  const { code } = error as NodeJS.ErrnoException;
  const why = `what is built here is not noticed: ${messageOf(error)}`;
  const isFolders = code === "EACCES" || code === "EPERM" || code === "ENOENT";
  const ofError = error instanceof TetherError ? error.remedy : undefined;
  const remedy = isFolders
    ? `Let ${folder} be read by everybody, as Nix makes it, or have root install the hook: nix-tether hook-script`
    : ofError;
  return new TetherError("builds-unseen", why, { remedy, cause: error });
}
