// The uploads of a running daemon: the spool, and for each cache that is uploaded to the one who empties it.

import path from "node:path";
import type { Logger } from "pino";
import type { Config } from "../config/schema.js";
import type { Dirs } from "../config/dirs.js";
import type { QueueItem, UploadsStatus } from "../control/messages.js";
import type { SshLink } from "../link/link.js";
import { uploadHold, type UploadHold, type UploadRules } from "../decision/upload-gate.js";
import type { Conditions } from "../sources/conditions.js";
import { bytesLeft } from "../uploads/copy-meter.js";
import { isGone, type Entry } from "../uploads/entry.js";
import { createGcRoots } from "../uploads/gc-roots.js";
import { createNixTools } from "../nix/nix-tools.js";
import { createSizes, type Sizes } from "../uploads/sizes.js";
import { openSpool, type Spool, type Which } from "../uploads/spool.js";
import { createUploader, type Uploader } from "../uploads/uploader.js";
import { askValidPaths } from "../upstream/valid-paths.js";
import { delay } from "../util/abort.js";
import { TetherError, messageOf } from "../util/errors.js";
import { followSources, uploadSieve } from "./upload-sources.js";

/** What a cache's effects do with its uploads. */
export interface LinkUploads {
  /** `wire` is how many bytes have gone into the forward. */
  start(link: SshLink, wire: () => number): void;
  stop(): Promise<void>;
}

/** The spool and those who empty it. */
export interface Uploads {
  /** Null for a cache that nothing is uploaded to. */
  of(cache: string): LinkUploads | null;
  /** Uploads wait while these conditions hold; null: none are known yet. */
  follow(conditions: Conditions | null): void;
  /** Finds out how large that is which is new. Bounded; never rejects. */
  look(): Promise<void>;
  status(): UploadsStatus;
  /** Resolves to what waits, those of `paths` or all, after it was queued, made due, or forgotten. */
  list(): Promise<QueueItem[]>;
  enqueue(paths: readonly string[], options: { now: boolean }): Promise<void>;
  retry(which: Which, options: { now: boolean }): Promise<void>;
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

/** How long a status waits for sizes, in milliseconds. */
const lookMs = 300;

/** Null where nothing is uploaded. A spool that can not be used yet is one of the warnings, and is tried again. */
export async function openUploads(options: UploadsOptions): Promise<Uploads | null> {
  const { config, dirs, env, log, warn } = options;
  const { to, "signing-key": keyFile = null } = config.uploads;
  if (to.length === 0) return null;
  const nix = createNixTools(env);
  const roots = createGcRoots({ folder: path.join(dirs.spoolDir, "roots"), env });
  const spool = await openSpool({
    dir: dirs.spoolDir,
    log,
    targets: to,
    roots,
    sieve: uploadSieve(config, nix, log),
    warn: (code, problem) => warn(code, null, problem),
  });
  const uploaders = new Map(
    to.map((name): [string, Uploader] => {
      const uploader = createUploader({
        name,
        spool,
        nix,
        env,
        stage: path.join(dirs.spoolDir, `stage-${name}`),
        keyFile,
        derivations: config.uploads.derivations,
        substitute: config.uploads["substitute-on-destination"],
        log,
        warn: (code, text) => warn(code, name, text),
      });
      return [name, uploader];
    }),
  );
  const poke = (hurry: boolean): void => {
    for (const uploader of uploaders.values()) uploader.poke({ hurry });
  };
  const sources = followSources({ config, dirs, spool, nix, log, onNew: () => poke(false), warn });
  const sizes = createSizes(nix);
  const rules = uploadRules(config);
  let held: UploadHold["code"] | undefined;
  const learnSizes = (): Promise<void> =>
    sizes.learn(spool.list().flatMap((entry) => (isGone(entry) ? [] : [entry.path])));
  return {
    of: (cache) => {
      const uploader = uploaders.get(cache);
      if (uploader === undefined) return null;
      return {
        start: (link, wire) =>
          uploader.start({
            wire,
            socket: dirs.cacheSocket(cache),
            validPaths: (paths, signal) =>
              askValidPaths(() => link.openDaemon(), paths, signal).catch((error: unknown) => {
                throw unanswered(cache, error);
              }),
            fetch: (paths, signal) => askValidPaths(() => link.openDaemon(), paths, signal, { fetch: true }),
          }),
        stop: () => uploader.stop(),
      };
    },
    follow: (conditions) => {
      const hold = uploadHold(conditions, rules);
      if (conditions !== null && hold?.code !== held) {
        held = hold?.code;
        if (hold === null) log.info("uploads may go on");
        else log.info({ reason: hold.text }, "uploads are held");
      }
      for (const uploader of uploaders.values()) uploader.hold(hold?.text ?? null);
    },
    look: () => Promise.race([learnSizes(), delay(lookMs)]),
    status: () => {
      // For the next time that somebody looks.
      void learnSizes();
      return uploadsStatus(spool, sizes, uploaders);
    },
    list: async () => {
      await spool.load();
      await learnSizes();
      return spool.list().map((entry) => queueItem(entry, sizes.of(entry.path), uploaders));
    },
    enqueue: async (paths, { now }) => {
      await spool.add(paths);
      // What was given up before is asked for again.
      await spool.retry(paths, { now });
      poke(true);
    },
    retry: async (which, { now }) => {
      await spool.retry(which, { now });
      poke(true);
    },
    drop: async (which) => void (await spool.drop(which)),
    close: async () => {
      await sources.close();
      await Promise.all([...uploaders.values()].map((uploader) => uploader.stop()));
    },
  };
}

/** It says nothing of why it hangs up: the file systems that it needs may be read-only. */
function unanswered(cache: string, cause: unknown): TetherError {
  const text = `the nix-daemon of ${cache} did not say what it has: ${messageOf(cause)}`;
  const remedy = "Its own log says why: journalctl -u nix-daemon, over there";
  return new TetherError("no-answer", `${text}. ${remedy}`, { cause });
}

/** What the configuration allows. */
export function uploadRules({ uploads }: Config): UploadRules {
  return { onMetered: uploads["on-metered"], batteryLevel: uploads["battery-level"] };
}

function uploadsStatus(spool: Spool, sizes: Sizes, uploaders: ReadonlyMap<string, Uploader>): UploadsStatus {
  const entries = spool.list();
  const { waiting, setAside } = spool.counts();
  const targets = [...uploaders].map(([name, uploader]) => {
    const progress = uploader.progress();
    const others = entries.filter(
      (entry) => entry.targets[name]?.state === "waiting" && uploader.sentOf(entry.path) === null,
    );
    const left = bytesLeft(
      others.map((entry) => sizes.of(entry.path)),
      progress.going,
    );
    return [name, { ...spool.counts(name), ...progress, left }] as const;
  });
  const uploaded = targets.reduce((sum, [, target]) => sum + target.uploaded, 0);
  return {
    waiting,
    uploaded,
    failed: setAside,
    skipped: spool.skipped(),
    targets: Object.fromEntries(targets),
  };
}

function queueItem(entry: Entry, size: number | null, uploaders: ReadonlyMap<string, Uploader>): QueueItem {
  const { path: own, deriver, since } = entry;
  const targets = Object.entries(entry.targets).map(([name, progress]) => {
    const uploader = uploaders.get(name);
    const isGoing = uploader?.progress().now === own;
    const { state, tries, code, lastError, notBefore } = progress;
    return {
      name,
      state: isGoing ? ("copying" as const) : state,
      sent: uploader?.sentOf(own) ?? 0,
      tries,
      code,
      reason: lastError,
      retryAt: notBefore === null ? null : iso(notBefore),
    };
  });
  return { path: own, deriver, size, since: iso(since), now: entry.now === true, targets };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
