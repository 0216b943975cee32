// The durable queue of uploads: what was built here and has not arrived everywhere yet. What it has taken in is on disk
// before it says so, is held against the garbage collector, and leaves only by arriving or by being dropped by hand.

import type { Logger } from "pino";
import { createSerial } from "../util/serial.js";
import type { TetherError } from "../util/errors.js";
import {
  byAge,
  countEntries,
  fold,
  isGone,
  isUploadable,
  withArrival,
  withFailure,
  withRetry,
  type Addition,
  type Entry,
  type Failure,
  type SpoolCounts,
} from "./entry.js";
import { createEntryFiles } from "./entry-files.js";
import type { GcRoots } from "./gc-roots.js";
import { createIntake } from "./intake.js";
import { createProtection } from "./protection.js";
import type { Sieve } from "./sieve.js";
import { createMoveAside, makeFolders, spoolFolders } from "./spool-folders.js";
import { asTrouble, noTargets, notUploadable, type SpoolTrouble } from "./spool-troubles.js";
import { watchFolder } from "./watch-folder.js";

export interface SpoolOptions {
  /** `Dirs.spoolDir`; made where it is missing. One process at a time. */
  readonly dir: string;
  readonly log: Logger;
  /** The names of the caches that new paths are for; with none, nothing is taken in. */
  readonly targets: readonly string[];
  readonly roots: GcRoots;
  /** What comes in by itself goes through it. */
  readonly sieve?: Sieve;
  /** Told of what goes wrong without a caller to tell, by code, and of its end by null. */
  readonly warn: (code: SpoolTrouble, problem: TetherError | null) => void;
  readonly now?: () => number;
}

/** Which paths a command is about. */
export type Which = readonly string[] | "all";

/**
 * Every change is made one after the other, and is on disk when its promise resolves. Each rejects as `load` does where
 * what is on disk could not be read yet.
 */
export interface Spool {
  /**
   * Absorbs what the hook has left. Resolves to what was not there before.
   * @throws TetherError `spool-unwritable`; what the hook has left stays where it is.
   */
  takeIn(): Promise<Entry[]>;
  /**
   * Queues what was found to be built here, but for what the sieve holds back; what is gone already is forgotten. Resolves
   * and rejects as `takeIn`.
   */
  offer(additions: readonly Addition[]): Promise<Entry[]>;
  /**
   * Takes in now, whenever the hook leaves something, and again where that could not be done; calls `onNew` with what
   * was not there before, or could not be read before.
   */
  watch(onNew: (entries: readonly Entry[]) => void): { close(): Promise<void> };
  /** Reads what is on disk, where that could not be done yet. @throws TetherError `spool-unwritable` */
  load(): Promise<void>;
  /** As it stands, oldest first; nothing where it could not be read yet. The same list until something changes. */
  list(): readonly Entry[];
  /**
   * Queues paths and resolves to their entries; one that is not in the store is set aside at once, as `path-gone`.
   * @throws TetherError `not-uploadable`, `no-targets`; nothing is queued then.
   * @throws TetherError `spool-unwritable`; some may be queued, after the next start.
   */
  add(paths: readonly string[], deriver?: string | null): Promise<Entry[]>;
  /** These are at the target now. Forgets those that have arrived everywhere, and lets go of them. */
  arrived(target: string, paths: readonly string[]): Promise<void>;
  failed(target: string, paths: readonly string[], failure: Failure): Promise<void>;
  /**
   * These have left the store: sets them aside, but for what is back by now; resolves to the others.
   * @throws TetherError as `GcRoots.missing`
   */
  gone(paths: readonly string[]): Promise<string[]>;
  /** Makes them due at once, also what was set aside (`now`: see `Entry.now`); resolves to how many these are. */
  retry(which: Which, how?: { now: boolean }): Promise<number>;
  /** Forgets them without an upload; resolves to how many these were. */
  drop(which: Which): Promise<number>;
  /** For every target, or for one. */
  counts(target?: string): SpoolCounts;
  /** How many paths have come in that were not to be queued, since it was opened. */
  skipped(): number;
}

/** A file system may have no notification, and a notification may get lost; in milliseconds. */
const rescanMs = 60_000;

const takesAll: Sieve = () => Promise.resolve(new Set());

/** Resolves also where the folder can not be used for now: that is told to `warn`, and tried again. */
export async function openSpool(options: SpoolOptions): Promise<Spool> {
  const { dir, log, targets, roots, sieve = takesAll, warn, now = Date.now } = options;
  const folders = spoolFolders(dir);
  const moveAside = createMoveAside(folders.aside, log);
  const files = createEntryFiles(folders.entries, moveAside);
  const entries = new Map<string, Entry>();
  /** The list, as long as it is right. */
  let listed: readonly Entry[] | null = null;
  const put = (changed: Iterable<Entry>): void => {
    for (const entry of changed) entries.set(entry.path, entry);
    listed = null;
  };
  const oneChanges = createSerial();
  let isLoaded = false;
  let tell: (entries: readonly Entry[]) => void = () => undefined;

  const load = async (): Promise<void> => {
    if (isLoaded) return;
    await makeFolders(folders);
    const found = await files.load();
    // What is nearly in order is sorted in no time, later on.
    put(found.toSorted(byAge));
    isLoaded = true;
    warnOfStrangers(found, targets, log);
    if (found.length > 0) tell(found);
  };
  const inTurn = <T>(work: () => Promise<T>): Promise<T> =>
    oneChanges(async () => {
      await load();
      return work();
    });

  const select = (which: Which): Entry[] =>
    which === "all" ? [...entries.values()] : [...new Set(which)].flatMap((path) => entries.get(path) ?? []);

  /** Keeps them in memory also where the disk refuses: what is known now must not be tried again at once. */
  const change = async (changed: readonly Entry[]): Promise<void> => {
    put(changed);
    await files.save(changed);
  };

  const forget = async (gone: readonly Entry[]): Promise<void> => {
    await files.remove(gone);
    const paths = gone.map(({ path }) => path);
    for (const path of paths) entries.delete(path);
    listed = null;
    unprotected(paths);
    await letGo(paths);
  };
  /** A root that stays for now is found by the next sweep. */
  const letGo = (paths: readonly string[]): Promise<void> =>
    roots.release(paths).catch((error: unknown) => log.debug({ error }, "could not let go of roots"));

  const {
    protect,
    gone,
    forget: unprotected,
  } = createProtection({
    roots,
    entries,
    update: (paths, how) => inTurn(() => change(select(paths).map(how))),
    onTrouble: (error) =>
      warn("upload-unprotected", error === null ? null : asTrouble("upload-unprotected", error)),
  });

  /** Resolves to what was not there before. */
  const enter = async (additions: readonly Addition[]): Promise<Entry[]> => {
    const folded = new Map<string, Entry>();
    for (const addition of additions) {
      const known = folded.get(addition.path) ?? entries.get(addition.path);
      const next = fold(known, addition, targets);
      if (next !== known) folded.set(addition.path, next);
    }
    await files.save([...folded.values()]);
    const fresh = [...folded.values()].filter(({ path }) => !entries.has(path));
    put([...folded.values()].toSorted(byAge));
    unprotected([...folded.keys()]);
    if (fresh.length > 0) log.debug({ paths: fresh.length }, "queued for upload");
    return fresh;
  };

  const intake = createIntake({
    folders,
    moveAside,
    sieve,
    log,
    isQueued: (path) => entries.has(path),
    enter: (additions) => inTurn(() => enter(additions)),
    release: (paths) => inTurn(() => letGo(paths.filter((path) => !entries.has(path)))),
  });
  const comeIn = async (how: () => Promise<Entry[]>): Promise<string[]> => {
    if (targets.length === 0) return [];
    await inTurn(() => makeFolders(folders));
    const fresh = await how();
    await protect();
    return fresh.map(({ path }) => path);
  };
  const takeIn = async (): Promise<Entry[]> => select(await comeIn(intake.takeIn));
  const offer = async (additions: readonly Addition[]): Promise<Entry[]> => {
    const paths = await comeIn(() => intake.admit(additions));
    await inTurn(() => forget(select(paths).filter(isGone)));
    return select(paths);
  };

  const warnUnwritable = (error: unknown): void =>
    warn("spool-unwritable", asTrouble("spool-unwritable", error));
  await oneChanges(load).catch(warnUnwritable);

  return {
    takeIn,
    offer,
    watch: (onNew) => {
      tell = onNew;
      return watchFolder({
        folder: folders.incoming,
        everyMs: rescanMs,
        look: async (isRescan) => {
          let fresh: Entry[] = [];
          let trouble: unknown = null;
          try {
            fresh = await takeIn();
            // Only now: a root whose path is still among what came in must stay.
            if (isRescan && targets.length > 0) await inTurn(() => roots.sweep(new Set(entries.keys())));
            warn("spool-unwritable", null);
          } catch (error) {
            trouble = error;
            warnUnwritable(error);
          }
          if (fresh.length > 0) onNew(fresh);
          return trouble === null;
        },
      });
    },
    load: () => oneChanges(load),
    list: () => (listed ??= [...entries.values()].toSorted(byAge)),
    add: async (paths, deriver = null) => {
      const wrong = paths.find((path) => !isUploadable(path));
      if (wrong !== undefined) throw notUploadable(wrong);
      if (targets.length === 0) throw noTargets();
      await inTurn(async () => {
        await makeFolders(folders);
        await enter(paths.map((path) => ({ path, deriver, since: now() })));
      });
      await protect();
      return select(paths);
    },
    arrived: (target, paths) =>
      inTurn(async () => {
        const found = select(paths);
        const left = found.map((entry) => withArrival(entry, target));
        await change(left.filter((entry) => entry !== null));
        await forget(found.filter((_, index) => left[index] === null));
      }),
    failed: (target, paths, failure) =>
      inTurn(() => change(select(paths).map((entry) => withFailure(entry, target, failure)))),
    gone,
    retry: async (which, how = { now: false }) => {
      const chosen = await inTurn(async () => {
        const found = select(which);
        await change(found.map((entry) => withRetry(entry, how)));
        unprotected(found.map(({ path }) => path));
        return found;
      });
      await protect();
      return chosen.length;
    },
    drop: (which) =>
      inTurn(async () => {
        const chosen = select(which);
        await forget(chosen);
        return chosen.length;
      }),
    counts: (target) => countEntries([...entries.values()], target),
    skipped: intake.skipped,
  };
}

/** What waits for a cache that is not uploaded to any more stays: the configuration may be what is wrong. */
function warnOfStrangers(entries: readonly Entry[], targets: readonly string[], log: Logger): void {
  const names = new Set(entries.flatMap((entry) => Object.keys(entry.targets)));
  for (const name of names) {
    if (targets.includes(name)) continue;
    const paths = entries.filter((entry) => name in entry.targets).length;
    log.warn({ paths, target: name }, "paths wait for a cache that nothing is uploaded to any more");
  }
}
