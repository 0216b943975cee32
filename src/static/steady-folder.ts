// A cache's folder that outlives its link: what a cut interrupts is done again over a new one, with bounded patience.

import { Readable } from "node:stream";
import { delay } from "../util/abort.js";
import { TetherError } from "../util/errors.js";
import type { CacheFolder } from "./cache-folder.js";

export interface SteadyDeps {
  /** Makes a new link. */
  readonly open: (signal: AbortSignal) => Promise<CacheFolder>;
  readonly signal: AbortSignal;
  /** How long nothing may succeed before it is given up, in milliseconds. */
  readonly patienceMs: number;
  /** The link was cut, and for what reason. */
  readonly onCut?: (reason: TetherError) => void;
  /** There is a new one. */
  readonly onReturn?: () => void;
}

const cut = new Set(["cache-unreachable", "link-lost"]);

/** What passes by itself, once the machine was reached before. */
const passing = new Set([
  ...cut,
  "absent",
  "unreachable",
  "ssh-timeout",
  "ssh-failed",
  "sftp-unavailable",
  "timeout",
]);

const firstPauseMs = 100;
const longestPauseMs = 10_000;

/** Whoever else is making a file has written it within this, in milliseconds. */
const settleMs = 1_000;

/** Rejects as `open` does where the first link does not come about. */
export async function openSteadily(deps: SteadyDeps): Promise<CacheFolder> {
  const { open, patienceMs } = deps;
  const closing = new AbortController();
  const lifetime = AbortSignal.any([deps.signal, closing.signal]);
  const first = await open(deps.signal);
  let current: Promise<CacheFolder> = Promise.resolve(first);
  let succeededAt = performance.now();

  const isPassing = (error: unknown, codes: ReadonlySet<string>): error is TetherError =>
    error instanceof TetherError && codes.has(error.code);
  const checkPatience = (error: unknown): void => {
    if (lifetime.aborted || performance.now() - succeededAt > patienceMs) throw error;
  };
  const reopen = async (reason: TetherError): Promise<CacheFolder> => {
    deps.onCut?.(reason);
    for (let pause = firstPauseMs; ; pause = Math.min(longestPauseMs, pause * 2)) {
      await delay(pause, lifetime);
      try {
        const folder = await open(lifetime);
        deps.onReturn?.();
        return folder;
      } catch (error) {
        if (!isPassing(error, passing)) throw error;
        checkPatience(error);
      }
    }
  };
  const steadily = async <T>(work: (folder: CacheFolder) => Promise<T>): Promise<T> => {
    for (;;) {
      const link = current;
      const folder = await link;
      try {
        const result = await work(folder);
        succeededAt = performance.now();
        return result;
      } catch (error) {
        if (!isPassing(error, cut)) throw error;
        checkPatience(error);
        // The first that notices makes the new one, for all.
        if (current === link) {
          folder.close();
          current = reopen(error);
          current.catch(() => undefined);
        }
      }
    }
  };

  return {
    label: first.label,
    list: (name, signal) => steadily((folder) => folder.list(name, signal)),
    stat: (name, signal) => steadily((folder) => folder.stat(name, signal)),
    read: (name, maxBytes, signal) => steadily((folder) => folder.read(name, maxBytes, signal)),
    openRead: (name, signal) => {
      const bytes = async function* (): AsyncGenerator<Buffer> {
        let read = 0;
        for (let ended = false; !ended;) {
          const link = current;
          const folder = await link;
          let skip = read;
          try {
            for await (const piece of folder.openRead(name, signal) as AsyncIterable<Buffer>) {
              const rest = piece.subarray(Math.min(skip, piece.length));
              skip -= piece.length - rest.length;
              read += rest.length;
              succeededAt = performance.now();
              if (rest.length > 0) yield rest;
            }
            ended = true;
          } catch (error) {
            if (!isPassing(error, cut)) throw error;
            checkPatience(error);
            // Whoever else notices the cut makes the new link; this makes somebody notice.
            await steadily((one) => one.stat(name, signal));
          }
        }
      };
      return Readable.from(bytes(), { objectMode: false, signal });
    },
    put: (name, content, options) =>
      steadily(async (folder) => {
        let sent = 0;
        const onBytes = (bytes: number): void => {
          sent += bytes;
          succeededAt = performance.now();
          options.onBytes?.(bytes);
        };
        try {
          await folder.put(name, content, { ...options, onBytes });
        } catch (error) {
          if (sent !== 0) options.onBytes?.(-sent);
          throw error;
        }
      }),
    create: (name, content, signal) => {
      let attempts = 0;
      return steadily(async (folder) => {
        attempts += 1;
        if (await folder.create(name, content, signal)) return true;
        const read = (): Promise<Buffer | null> =>
          folder.read(name, content.length, signal).catch((error: unknown) => {
            if (isPassing(error, cut)) throw error;
            return null;
          });
        const isOurs = async (): Promise<boolean> => (await read())?.equals(content) === true;
        // It is ours all the same, where the answer was lost with the link before.
        if (await isOurs()) return true;
        if (attempts === 1) return false;
        // An empty one is ours, where the cut came before its content; of several that think so the last one has it.
        await delay(settleMs, signal);
        if ((await read())?.length !== 0) return false;
        await folder.put(name, content, { signal });
        await delay(settleMs, signal);
        return isOurs();
      });
    },
    remove: (name, signal, check) => steadily((folder) => folder.remove(name, signal, check)),
    touch: (name, at, signal, check) => steadily((folder) => folder.touch(name, at, signal, check)),
    makeFolder: (name, signal) => steadily((folder) => folder.makeFolder(name, signal)),
    close: () => {
      closing.abort(new TetherError("link-closed", "the folder was closed here"));
      current.then((folder) => folder.close()).catch(() => undefined);
    },
  };
}
