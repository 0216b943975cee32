// Sends what waits for one target, for as long as that is in reach: batch after batch, oldest first, one `nix copy` at a
// time. What fails waits longer each time; a batch that fails is made smaller until what is bad in it is found.

import type { Logger } from "pino";
import { delay } from "../util/abort.js";
import { messageOf } from "../util/errors.js";
import { explainFailure, type CopyFailure } from "./copy-failure.js";
import type { NixTools } from "./nix-tools.js";
import { refusedAlike } from "./path-infos.js";
import { backoffMs, forgive, mostPaths, nextBatch, nextDue, type Moment } from "./plan.js";
import { send, type Sent, type UploadTarget, type Way } from "./send.js";
import { readSigningKey, type SigningKey } from "./signing-key.js";
import type { Spool } from "./spool.js";

/** How far the uploads to one target have come. */
export interface UploadProgress {
  /** `offline`: not in reach, or not to be used now. */
  readonly state: "resting" | "copying" | "backing-off" | "offline";
  /** Why it waits: a sentence, or null. */
  readonly reason: string | null;
  /** The path that is on its way. */
  readonly now: string | null;
  /** Since the daemon's start. */
  readonly uploaded: number;
  /** Since the daemon's start, as NARs. */
  readonly bytes: number;
}

export interface Uploader {
  /** The target is in reach. Nothing is done where it runs already. */
  start(target: UploadTarget): void;
  /** Ends what is under way; resolves when it has ended. */
  stop(): Promise<void>;
  /** Something new waits. In a hurry also where the target was to be left alone for a while. */
  poke(options?: { hurry: boolean }): void;
  progress(): UploadProgress;
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
  readonly log: Logger;
  /** Raises or (null) clears a warning. */
  readonly warn: (code: UploadTrouble, text: string | null) => void;
  readonly now?: () => number;
}

export type UploadTrouble = "uploads-unsigned" | "signing-key-unusable";

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
  let state: UploadProgress["state"] = "offline";
  let reason: string | null = null;
  let current: string | null = null;
  /** The target is in trouble itself, and what is new would fare no better. */
  let leftAlone = false;
  let uploaded = 0;
  let bytes = 0;

  const moment = ({ forgiven }: Session): Moment => ({ target: name, now: now(), forgiven });

  const rest = async (
    session: Session,
    ms: number,
    how: "resting" | "backing-off",
    why: string | null,
  ): Promise<void> => {
    state = how;
    reason = why;
    wake = new AbortController();
    const either = AbortSignal.any([wake.signal, session.signal]);
    await delay(Math.max(0, ms), either).catch(() => undefined);
    wake = null;
  };

  const onArrived = async (session: Session, paths: ReadonlySet<string>, size: number): Promise<void> => {
    bytes += size;
    const arrived = spool.list().filter(({ path, targets }) => paths.has(path) && name in targets);
    if (arrived.length === 0) return;
    uploaded += arrived.length;
    session.failures = 0;
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

  const tellUnsigned = (key: SigningKey | null): void => {
    const count = spool.list().filter(({ targets }) => targets[name]?.code === "unsigned").length;
    warn("uploads-unsigned", count === 0 ? null : unsignedText(name, count, key));
  };

  const lastError = (): string | null =>
    spool.list().find(({ targets }) => targets[name]?.notBefore !== null)?.targets[name]?.lastError ?? null;

  /** The target is to be left alone for a while. */
  const backOff = async (session: Session, text: string): Promise<void> => {
    session.failures += 1;
    leftAlone = true;
    await rest(session, backoffMs(session.failures), "backing-off", text);
    leftAlone = false;
  };

  const fail = async (session: Session, paths: readonly string[], failure: CopyFailure): Promise<void> => {
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
    sent: Sent,
    key: SigningKey | null,
  ): Promise<void> => {
    const { failure, infos } = sent;
    if (failure === null) return;
    let { blamed } = sent;
    if (failure.code === "unsigned") {
      const alike = refusedAlike(failure.path, batch, infos, key?.name ?? null);
      blamed = [...new Set([...blamed, ...alike])];
    }
    const isTargets = /^(target-|link-)/.test(failure.code);
    if (blamed.length < batch.length || batch.length === 1 || failure.code === "unsigned") {
      await fail(session, blamed, failure);
    } else session.limit = Math.ceil(batch.length / 2);
    if (isTargets) await backOff(session, explainFailure(failure, name));
  };

  const step = async (session: Session): Promise<void> => {
    const batch = nextBatch(spool.list(), session.limit, moment(session));
    if (batch.length === 0) {
      const due = nextDue(spool.list(), moment(session));
      if (due === null) await rest(session, 2 ** 31 - 1, "resting", null);
      else await rest(session, Math.min(due - now(), backoffMs(Infinity)), "backing-off", lastError());
      return;
    }
    state = "copying";
    reason = null;
    const invalid = await nix.invalid(batch, session.signal);
    if (invalid.length > 0) {
      const gone = await spool.gone(invalid);
      if (gone.length > 0)
        log.warn({ paths: gone }, "uploads are set aside: their paths have left the store");
      return;
    }
    const key = await readKey();
    const { target, signal, way } = session;
    const sent = await send(batch, {
      target,
      signal,
      way,
      nix,
      env,
      key,
      stage: options.stage,
      onArrived: (paths, size) => onArrived(session, paths, size),
      onPath: (path) => void (current = path),
    });
    if (sent.failure === null) session.limit = Math.min(mostPaths, session.limit * 2);
    else await onFailure(session, batch, sent, key);
    tellUnsigned(key);
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
    state = "offline";
    reason = null;
    current = null;
  };

  return {
    start: (target) => {
      if (running !== null) return;
      const abort = new AbortController();
      const way: Way = { checkSigs: target.trusted !== true, signsInStore: null };
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
    progress: () => ({ state, reason, now: current, uploaded, bytes }),
  };
}

function unsignedText(name: string, count: number, key: SigningKey | null): string {
  const paths = count === 1 ? "1 path" : `${count} paths`;
  const remedy =
    key === null
      ? `set uploads.signing-key to a secret key whose public key is in trusted-public-keys there`
      : `add ${key.publicKey} to trusted-public-keys there`;
  return (
    `${name} does not take ${paths}, for want of a signature that it trusts. In its nix.conf, make the login one of ` +
    `trusted-users, or ${remedy}. Then: nix-tether queue retry`
  );
}
