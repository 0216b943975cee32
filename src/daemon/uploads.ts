// The uploads of a running daemon: the spool, and for each cache that is uploaded to the one who empties it.

import path from "node:path";
import type { Logger } from "pino";
import type { Config } from "../config/schema.js";
import type { Dirs } from "../config/dirs.js";
import type { QueueItem, UploadsStatus } from "../control/messages.js";
import type { SshLink } from "../link/link.js";
import type { Entry } from "../uploads/entry.js";
import { createGcRoots } from "../uploads/gc-roots.js";
import { createNixTools } from "../uploads/nix-tools.js";
import { openSpool, type Spool, type Which } from "../uploads/spool.js";
import { createUploader, type Uploader } from "../uploads/uploader.js";
import { askValidPaths } from "../upstream/valid-paths.js";

/** What a cache's effects do with its uploads. */
export interface LinkUploads {
  start(link: SshLink): void;
  stop(): Promise<void>;
}

/** The spool and those who empty it. */
export interface Uploads {
  /** Null for a cache that nothing is uploaded to. */
  of(cache: string): LinkUploads | null;
  status(): UploadsStatus;
  /** Resolves to what waits, those of `paths` or all, after it was queued, made due, or forgotten. */
  list(): Promise<QueueItem[]>;
  enqueue(paths: readonly string[]): Promise<void>;
  retry(which: Which): Promise<void>;
  drop(which: Which): Promise<void>;
  close(): Promise<void>;
}

/** What the uploads need. */
export interface UploadsOptions {
  readonly config: Config;
  readonly dirs: Dirs;
  readonly env: NodeJS.ProcessEnv;
  readonly log: Logger;
  /** Raises or (null) clears a warning. */
  readonly warn: (code: string, cache: string | null, problem: unknown) => void;
}

/** Sizes asked for at a time: a list that a person reads. */
const mostSizes = 1_000;

/** Null where nothing is uploaded. A spool that can not be used yet is one of the warnings, and is tried again. */
export async function openUploads(options: UploadsOptions): Promise<Uploads | null> {
  const { config, dirs, env, log, warn } = options;
  const { to, "signing-key": keyFile = null } = config.uploads;
  if (to.length === 0) return null;
  const roots = createGcRoots({ folder: path.join(dirs.spoolDir, "roots"), env });
  const spool = await openSpool({
    dir: dirs.spoolDir,
    log,
    targets: to,
    roots,
    warn: (code, problem) => warn(code, null, problem),
  });
  const nix = createNixTools(env);
  const uploaders = new Map(
    to.map((name): [string, Uploader] => {
      const uploader = createUploader({
        name,
        spool,
        nix,
        env,
        stage: path.join(dirs.spoolDir, `stage-${name}`),
        keyFile,
        log,
        warn: (code, text) => warn(code, name, text),
      });
      return [name, uploader];
    }),
  );
  const poke = (hurry: boolean): void => {
    for (const uploader of uploaders.values()) uploader.poke({ hurry });
  };
  const watch = spool.watch(() => poke(false));
  const sizes = new Map<string, number>();

  const learnSizes = async (entries: readonly Entry[]): Promise<void> => {
    const paths = entries.map((entry) => entry.path);
    for (const known of sizes.keys()) if (!paths.includes(known)) sizes.delete(known);
    const unknown = paths.filter((one) => !sizes.has(one)).slice(0, mostSizes);
    if (unknown.length === 0) return;
    // A list without sizes is better than none.
    const infos = await nix.infos(unknown).catch(() => new Map<string, never>());
    for (const [one, { size }] of infos) sizes.set(one, size);
  };

  return {
    of: (cache) => {
      const uploader = uploaders.get(cache);
      if (uploader === undefined) return null;
      return {
        start: (link) =>
          uploader.start({
            socket: dirs.cacheSocket(cache),
            trusted: link.daemon.trusted,
            validPaths: (paths, signal) => askValidPaths(() => link.openDaemon(), paths, signal),
          }),
        stop: () => uploader.stop(),
      };
    },
    status: () => uploadsStatus(spool, uploaders),
    list: async () => {
      await spool.load();
      const entries = spool.list();
      await learnSizes(entries);
      return entries.map((entry) => queueItem(entry, sizes.get(entry.path) ?? null, uploaders));
    },
    enqueue: async (paths) => {
      await spool.add(paths);
      // What was given up before is asked for again.
      await spool.retry(paths);
      poke(true);
    },
    retry: async (which) => {
      await spool.retry(which);
      poke(true);
    },
    drop: async (which) => void (await spool.drop(which)),
    close: async () => {
      await watch.close();
      await Promise.all([...uploaders.values()].map((uploader) => uploader.stop()));
    },
  };
}

function uploadsStatus(spool: Spool, uploaders: ReadonlyMap<string, Uploader>): UploadsStatus {
  const { waiting, setAside } = spool.counts();
  const targets = [...uploaders].map(([name, uploader]) => {
    const counts = spool.counts(name);
    return [name, { ...counts, ...uploader.progress() }] as const;
  });
  const uploaded = targets.reduce((sum, [, target]) => sum + target.uploaded, 0);
  return { waiting, uploaded, failed: setAside, targets: Object.fromEntries(targets) };
}

function queueItem(entry: Entry, size: number | null, uploaders: ReadonlyMap<string, Uploader>): QueueItem {
  const targets = Object.entries(entry.targets).map(([name, progress]) => {
    const isGoing = uploaders.get(name)?.progress().now === entry.path;
    const { state, tries, code, lastError, notBefore } = progress;
    return {
      name,
      state: isGoing ? ("copying" as const) : state,
      tries,
      code,
      reason: lastError,
      retryAt: notBefore === null ? null : iso(notBefore),
    };
  });
  return { path: entry.path, deriver: entry.deriver, size, since: iso(entry.since), targets };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
