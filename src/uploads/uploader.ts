// Sends what waits for one target, for as long as that is in reach: batch after batch, one `nix copy` at a time. What
// fails waits longer each time; a batch that fails is made smaller until what is bad in it is found. While it is held
// back only what was asked for by `now` goes.

import type { Logger } from "pino";
import { delay } from "../util/abort.js";
import { messageOf } from "../util/errors.js";
import { explainFailure, type CopyFailure } from "./copy-failure.js";
import type { NixTools } from "../nix/nix-tools.js";
import type { Entry } from "./entry.js";
import type { LocalInfos } from "../nix/path-infos.js";
import { backoffMs, forgive, mostPaths, nextBatch, nextDue, type Moment } from "./plan.js";
import { createProgress, type UploadProgress } from "./progress.js";
import { send, type Sent, type UploadTarget, type Way } from "./send.js";
import { readSigningKey, type SigningKey } from "../nix/signing-key.js";
import type { Spool } from "./spool.js";
import { unsignedText } from "./unsigned.js";
import { verdict, type Verdict } from "./verdict.js";

export interface Uploader {
  /** The target is in reach. Nothing is done where it runs already. */
  start(target: UploadTarget): void;
  /** Ends what is under way; resolves when it has ended. */
  stop(): Promise<void>;
  /** Something new waits. In a hurry also where the target was to be left alone for a while. */
  poke(options?: { hurry: boolean }): void;
  /** Holds back, for this reason, what was not asked for by `now`; null lets it go on. A copy under way is stopped. */
  hold(reason: string | null): void;
  progress(): UploadProgress;
  /** Bytes of a path that have gone with the copy under way; null where it is no part of that. */
  sentOf(path: string): number | null;
}

export interface UploaderOptions {
  /** The target's name. */
  readonly name: string;
  readonly spool: Spool;
  readonly nix: NixTools;
  readonly env: NodeJS.ProcessEnv;
  /** A folder of its own, which need not exist. */
  readonly stage: string;
  readonly keyFile: string | null;
  /** Whether the derivations of what is sent go along. */
  readonly derivations: boolean;
  /** Whether the target is told to fetch by itself what was fetched here. */
  readonly substitute: boolean;
  readonly log: Logger;
  /** Raises or (null) clears a warning. */
  readonly warn: (code: UploadTrouble, text: string | null) => void;
  readonly now?: () => number;
}

/** `uploads-stuck`: the target has failed more than once in a row. */
export type UploadTrouble = "uploads-unsigned" | "uploads-stuck" | "signing-key-unusable";

interface Session {
  readonly target: UploadTarget;
  readonly signal: AbortSignal;
  readonly way: Way;
  readonly forgiven: ReadonlyMap<string, number>;
  /** By path: how often it has failed in this session. */
  readonly tries: Map<string, number>;
  /** Paths in the next batch, at most. */
  limit: number;
  /** Failures of the target in a row, without any arrival. */
  failures: number;
}

export function createUploader(options: UploaderOptions): Uploader {
  const { name, spool, nix, env, log, warn, now = Date.now } = options;
  let running: { abort: AbortController; ended: Promise<void> } | null = null;
  let wake: AbortController | null = null;
  const progress = createProgress();
  let held: string | null = null;
  /** What is being sent, and what stops it. */
  let sending: { abort: AbortController; batch: readonly string[] } | null = null;
  /** The target is in trouble itself, and what is new would fare no better. */
  let leftAlone = false;

  const moment = ({ forgiven }: Session): Moment => ({ target: name, now: now(), forgiven });

  const rest = async (
    session: Session,
    ms: number,
    how: "resting" | "backing-off" | "held",
    why: string | null,
  ): Promise<void> => {
    progress.is(how, why);
    wake = new AbortController();
    const either = AbortSignal.any([wake.signal, session.signal]);
    await delay(Math.max(0, ms), either).catch(() => undefined);
    wake = null;
  };

  const works = (session: Session): void => {
    session.failures = 0;
    warn("uploads-stuck", null);
  };

  const onArrived = async (session: Session, paths: ReadonlySet<string>, size: number): Promise<void> => {
    const arrived = spool.list().filter(({ path, targets }) => paths.has(path) && name in targets);
    progress.arrived(arrived.length, size);
    if (arrived.length === 0) return;
    works(session);
    await spool.arrived(
      name,
      arrived.map(({ path }) => path),
    );
  };

  const readKey = async (): Promise<SigningKey | null> => {
    if (options.keyFile === null) return null;
    try {
      const key = await readSigningKey(options.keyFile);
      warn("signing-key-unusable", null);
      return key;
    } catch (error) {
      warn("signing-key-unusable", messageOf(error));
      return null;
    }
  };

  const lastError = (): string | null =>
    spool.list().find(({ targets }) => targets[name]?.notBefore !== null)?.targets[name]?.lastError ?? null;

  /** The target is to be left alone for a while. */
  const backOff = async (session: Session, text: string): Promise<void> => {
    session.failures += 1;
    if (session.failures > 1) warn("uploads-stuck", `uploads to ${name} wait: ${text}`);
    leftAlone = true;
    await rest(session, backoffMs(session.failures), "backing-off", text);
    leftAlone = false;
  };

  const fail = async (session: Session, paths: readonly string[], failure: CopyFailure): Promise<void> => {
    if (paths.length === 0) return;
    const { code } = failure;
    const text = explainFailure(failure, name);
    const tries = Math.max(...paths.map((path) => session.tries.get(path) ?? 0)) + 1;
    // Files may be missing for as long as it takes to delete or to build them.
    const permanent = code === "unsigned" || (code === "path-gone" && tries > 1);
    for (const path of paths) session.tries.set(path, tries);
    const notBefore = permanent ? null : now() + backoffMs(tries);
    await spool.failed(name, paths, { code, text, permanent, notBefore });
    const fields = { target: name, code, paths: paths.length, reason: text };
    if (permanent) log.warn(fields, `${paths.length} uploads to ${name} are set aside`);
    else log.info(fields, `${paths.length} uploads to ${name} have failed and wait`);
  };

  const onFailure = async (
    session: Session,
    batch: readonly string[],
    failure: CopyFailure,
    { failed, backOff: isTargets }: Verdict,
  ): Promise<void> => {
    await fail(session, failed, failure);
    if (failed.length === 0) session.limit = Math.ceil(batch.length / 2);
    if (isTargets) await backOff(session, explainFailure(failure, name));
  };

  /** Those that may be sent at present. */
  const sendable = (): readonly Entry[] =>
    held === null ? spool.list() : spool.list().filter((entry) => entry.now === true);

  const restUntilDue = async (session: Session): Promise<void> => {
    const due = nextDue(sendable(), moment(session));
    if (due !== null) {
      await rest(session, Math.min(due - now(), backoffMs(Infinity)), "backing-off", lastError());
    } else {
      works(session);
      const holdsBack = held !== null && nextDue(spool.list(), moment(session)) !== null;
      await rest(session, 2 ** 31 - 1, holdsBack ? "held" : "resting", holdsBack ? held : null);
    }
  };

  const deriversOf = (batch: readonly string[]): Map<string, string> => {
    const wanted = new Set(options.derivations ? batch : []);
    const chosen = spool.list().filter(({ path }) => wanted.has(path));
    return new Map(chosen.flatMap(({ path, deriver }) => (deriver === null ? [] : [[path, deriver]])));
  };

  /** Null where it was stopped, or something was gone before it began. */
  const sendBatch = async (
    session: Session,
    batch: readonly string[],
    key: SigningKey | null,
  ): Promise<Sent | null> => {
    const { target, way } = session;
    const abort = new AbortController();
    const signal = AbortSignal.any([session.signal, abort.signal]);
    sending = { abort, batch };
    progress.is("copying", null);
    try {
      const invalid = await nix.invalid(batch, signal);
      if (invalid.length > 0) {
        const gone = await spool.gone(invalid);
        if (gone.length > 0)
          log.warn({ paths: gone }, "uploads are set aside: their paths have left the store");
        return null;
      }
      return await send(batch, {
        target,
        signal,
        way,
        nix,
        env,
        key,
        derivers: deriversOf(batch),
        stage: options.stage,
        onArrived: (paths, size) => onArrived(session, paths, size),
        onCopy: (infos) => progress.begins(sizesOf(infos), () => target.wire()),
        onPath: (path) => progress.path(path),
      });
    } catch (error) {
      // What has gone meanwhile is found out when it goes on.
      if (abort.signal.aborted) return null;
      throw error;
    } finally {
      sending = null;
      progress.ends();
    }
  };

  const step = async (session: Session): Promise<void> => {
    const choose = (): string[] => nextBatch(sendable(), session.limit, moment(session));
    if (choose().length === 0) return restUntilDue(session);
    const key = await readKey();
    // Chosen in the same breath as it begins, for it may have been held back meanwhile.
    const batch = choose();
    if (batch.length === 0) return;
    const sent = await sendBatch(session, batch, key);
    if (sent === null) return;
    const { failure } = sent;
    if (failure === null) session.limit = Math.min(mostPaths, session.limit * 2);
    else await onFailure(session, batch, failure, verdict(failure, batch, sent, key?.name ?? null));
    warn("uploads-unsigned", unsignedText(name, spool.list(), key));
  };

  const run = async (session: Session): Promise<void> => {
    while (!session.signal.aborted) {
      try {
        await step(session);
      } catch (error) {
        if (session.signal.aborted) break;
        log.info({ target: name, reason: messageOf(error) }, `uploads to ${name} wait`);
        await backOff(session, messageOf(error));
      }
    }
    warn("uploads-stuck", null);
    progress.is("offline", null);
  };

  return {
    start: (target) => {
      if (running !== null) return;
      const abort = new AbortController();
      const way: Way = { signsInStore: null, fetches: options.substitute };
      const forgiven = forgive(spool.list(), name);
      const { signal } = abort;
      const session = { target, signal, way, forgiven, tries: new Map<string, number>() };
      running = { abort, ended: run({ ...session, limit: mostPaths, failures: 0 }) };
    },
    stop: async () => {
      const stopping = running;
      if (stopping === null) return;
      stopping.abort.abort(new Error("the uploads were stopped"));
      await stopping.ended;
      if (running === stopping) running = null;
    },
    poke: ({ hurry } = { hurry: false }) => {
      if (hurry || !leftAlone) wake?.abort();
    },
    hold: (why) => {
      if (why === held) return;
      held = why;
      const asked = new Set(sendable().map(({ path }) => path));
      if (sending !== null && !sending.batch.every((path) => asked.has(path)))
        sending.abort.abort(new Error("uploads are held"));
      if (!leftAlone) wake?.abort();
    },
    progress: () => progress.read(),
    sentOf: (path) => progress.sentOf(path),
  };
}

function sizesOf(infos: LocalInfos): Map<string, number> {
  return new Map([...infos].map(([path, { size }]) => [path, size]));
}
