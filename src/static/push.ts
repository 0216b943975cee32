// Fills a static cache: what it lacks of some paths and of all that they need is staged here, a piece at a time, and sent
// meanwhile. The cache is complete at every moment, and what is there when it is interrupted is not sent again.

import { setMaxListeners } from "node:events";
import { createNixTools, type NixTools } from "../nix/nix-tools.js";
import type { LocalInfos } from "../nix/path-infos.js";
import { readSigningKey, type SigningKey } from "../nix/signing-key.js";
import { parseStorePath } from "../protocol/store-path.js";
import { TetherError } from "../util/errors.js";
import { beginPush, type Activity } from "./activity.js";
import { checkCache, makeCache } from "./cache-info.js";
import type { CacheFolder, Check } from "./cache-folder.js";
import { narFolder } from "./cache-names.js";
import { openFolder, type OpenFolderDeps } from "./open-folder.js";
import { findPresent, type Present } from "./present.js";
import { inBatches, references, referencesFirst } from "./push-plan.js";
import { createPushMeter, type PushMeter, type PushProgress } from "./push-meter.js";
import { refreshFiles } from "./refresh.js";
import { createSending } from "./sending.js";
import { openStaging } from "./staging.js";
import { openSteadily } from "./steady-folder.js";
import type { StaticTarget } from "./target.js";

export interface PushRequest {
  readonly target: StaticTarget;
  /** Store paths of this machine. */
  readonly paths: readonly string[];
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: PushProgress) => void;
  /** Told what a person should know while it goes on: whom it waits for, that the link was cut. */
  readonly onNotice?: (text: string) => void;
}

export interface PushDeps extends OpenFolderDeps {
  /** How long to wait for a collection of the cache, in milliseconds. */
  readonly waitMs?: number;
  /** How long to wait for a link that was cut, in milliseconds. */
  readonly patienceMs?: number;
}

export interface PushReport {
  /** The folder, as messages call it. */
  readonly label: string;
  /** That were sent. */
  readonly paths: number;
  /** That needed not be sent. */
  readonly alreadyThere: number;
  /** Of those that were sent without any signature: Nix takes them only where it trusts the cache itself. */
  readonly unsigned: number;
  /** Sent, compressed. */
  readonly bytes: number;
  /** Of the NARs of what was sent. */
  readonly narBytes: number;
  /** How often the link was cut. */
  readonly cuts: number;
  readonly ms: number;
}

const defaultWaitMs = 10 * 60_000;
const defaultPatienceMs = 5 * 60_000;

/** How many bytes of NARs may be staged and not sent. */
const stagedBytes = 512 * 1024 * 1024;

/** After sleeps that were so long that a collection may have come between. */
const mostBeginnings = 20;

/** A collection may have come between: what is there must be looked at again. */
class HoldLost extends TetherError {
  constructor({ label }: CacheFolder) {
    const message = `${label} was out of sight for so long, again and again, that others may be at it by now`;
    super("cache-busy", message, { remedy: "What is there is complete. Run the command again." });
  }
}

/**
 * Rejects before anything is changed with `path-missing`, `not-uploadable`, `signing-key-unusable`, `not-a-cache`, as
 * `openFolder` does, and with `nix-missing` or `nix-failed`; later with `cache-busy`, `stage-failed`, as `CacheFolder` does, or
 * with the signal's reason.
 */
export async function pushPaths(request: PushRequest, deps: PushDeps): Promise<PushReport> {
  const { target, signal, onNotice = () => undefined } = request;
  const begun = performance.now();
  // Much goes on at once, and all of it ends with the signal.
  setMaxListeners(0, signal);
  const key = target.signingKey === null ? null : await readSigningKey(target.signingKey);
  const stop = new AbortController();
  let meter: PushMeter | null = null;
  let cuts = 0;
  // Meanwhile Nix is asked what there is to push.
  const opening = openSteadily({
    open: (lifetime) => openFolder(target, deps, lifetime),
    signal: AbortSignal.any([signal, stop.signal]),
    patienceMs: deps.patienceMs ?? defaultPatienceMs,
    onCut: (reason) => {
      cuts += 1;
      meter?.waits("reconnecting");
      onNotice(`${reason.message}; connecting again`);
    },
    onReturn: () => meter?.waits(null),
  });
  opening.catch(() => undefined);
  const infos = await closureOf(request.paths, createNixTools(deps.env), signal).catch(
    async (error: unknown) => {
      stop.abort(error);
      (await opening.catch(() => null))?.close();
      throw error;
    },
  );
  meter = createPushMeter(infos, request.onProgress ?? (() => undefined));
  const folder = await opening;
  try {
    if (!(await checkCache(folder, signal))) await makeCache(folder, signal);
    for (let beginnings = 1; ; beginnings += 1) {
      const activity = await beginPush(folder, {
        signal,
        waitMs: deps.waitMs ?? defaultWaitMs,
        onWait: (who) => onNotice(`waits for the end of ${who}`),
      });
      try {
        await fill({ folder, target, infos, key, activity, meter, signal, env: deps.env });
        const { sent, ...counts } = meter.result();
        const unsigned = key === null ? sent.filter((path) => lacksSignature(path, infos)).length : 0;
        const ms = Math.round(performance.now() - begun);
        return { label: folder.label, ...counts, unsigned, cuts, ms };
      } catch (error) {
        if (!(error instanceof HoldLost) || beginnings >= mostBeginnings) throw error;
      } finally {
        await activity.end();
      }
    }
  } finally {
    folder.close();
  }
}

interface Filling {
  readonly folder: CacheFolder;
  readonly target: StaticTarget;
  readonly infos: LocalInfos;
  readonly key: SigningKey | null;
  readonly activity: Activity;
  readonly meter: PushMeter;
  readonly signal: AbortSignal;
  readonly env: NodeJS.ProcessEnv;
}

async function fill(filling: Filling): Promise<void> {
  const { folder, target, infos, key, activity, meter, signal, env } = filling;
  meter.looks();
  const publicKey = key?.publicKey ?? null;
  const present = await findPresent(folder, infos, { publicKey, now: activity.now(), signal });
  const check = (): void => {
    if (!activity.isHeld()) throw new HoldLost(folder);
  };
  // What is pushed anew is as good as new.
  await refreshFiles(folder, present.old, { now: activity.now, check, signal }).catch((error: unknown) => {
    check();
    throw error;
  });
  const missing = new Map([...infos].filter(([path]) => !present.paths.has(path)));
  meter.begins(missing);
  if (missing.size === 0) return check();
  await folder.makeFolder(narFolder, signal);
  const staging = await openStaging(target, missing, env);
  try {
    await stageAndSend(filling, { missing, present, staging, check });
  } finally {
    await staging.remove();
  }
  check();
}

/** What fails ends everything else that is under way. */
async function stageAndSend(
  { folder, meter, signal }: Filling,
  {
    missing,
    present,
    staging,
    check,
  }: {
    readonly missing: LocalInfos;
    readonly present: Present;
    readonly staging: Awaited<ReturnType<typeof openStaging>>;
    readonly check: Check;
  },
): Promise<void> {
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  setMaxListeners(0, either);
  const send = createSending({
    folder,
    stage: staging.folder,
    present,
    signal: either,
    check,
    onPart: meter.part,
  });
  /** Batches of which not everything has been sent. */
  const underWay = new Set<Promise<void>>();
  const sendings = new Set<Promise<void>>();
  let staged = 0;
  const sendPath = async (path: string): Promise<void> => {
    try {
      await send(path, references(path, missing));
      meter.arrived(path);
    } catch (error) {
      stop.abort(error);
      throw error;
    }
  };
  try {
    for (const batch of inBatches(referencesFirst(missing), missing)) {
      while (underWay.size > 0 && staged + batch.size > stagedBytes) await Promise.race(underWay);
      staged += batch.size;
      const paths: Promise<void>[] = [];
      await staging.add(batch, {
        signal: either,
        onStaged: (path) => {
          const sending = sendPath(path);
          sending.catch(() => undefined);
          paths.push(sending);
          sendings.add(sending);
          void sending.finally(() => sendings.delete(sending)).catch(() => undefined);
        },
      });
      const sending = Promise.all(paths).then(() => {
        staged -= batch.size;
        underWay.delete(sending);
      });
      sending.catch(() => undefined);
      underWay.add(sending);
    }
    await Promise.all(underWay);
  } finally {
    // Whatever still goes on must not read what is removed now.
    stop.abort(new Error("the push has ended"));
    await Promise.allSettled(sendings);
  }
}

async function closureOf(paths: readonly string[], nix: NixTools, signal: AbortSignal): Promise<LocalInfos> {
  for (const path of paths) {
    if (parseStorePath(path) !== null && !path.endsWith(".drv")) continue;
    throw new TetherError("not-uploadable", `${path} can not be pushed`, {
      remedy: "Give what was built: a store path that is no derivation.",
    });
  }
  const [gone] = await nix.invalid(paths, signal);
  if (gone !== undefined) throw new TetherError("path-missing", `${gone} is not in the Nix store here`);
  return nix.infos(await nix.closure(paths, signal), signal);
}

function lacksSignature(path: string, infos: LocalInfos): boolean {
  const info = infos.get(path);
  return info !== undefined && info.signatures.length === 0 && !info.contentAddressed;
}
