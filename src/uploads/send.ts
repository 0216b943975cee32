// One batch on its way to one target: what is there already is ticked off, what was built here is signed, the rest is
// copied, and then the target is asked what has arrived, for that alone counts.

import { copyFailure, type CopyFailure } from "./copy-failure.js";
import { nixCopy, type CopyOptions } from "../nix/nix-copy.js";
import type { NixTools } from "../nix/nix-tools.js";
import { closureWithin, toSign, type LocalInfos } from "../nix/path-infos.js";
import type { SigningKey } from "../nix/signing-key.js";
import { makeStage } from "../nix/stage.js";

/** A machine that fetches nothing for so long has no network: it is not asked again, in milliseconds. */
const vainMs = 3_000;

/** A machine in reach, as an uploader sees it. */
export interface UploadTarget {
  /** The forward's: copies go through it. */
  readonly socket: string;
  /** How many bytes have gone into the socket since any time before. */
  wire(): number;
  /** Those of the paths that the machine has. Rejects when it can not be asked. */
  validPaths(paths: readonly string[], signal: AbortSignal): Promise<Set<string>>;
  /** The same, after the machine was told to fetch the others from its own substituters. */
  fetch(paths: readonly string[], signal: AbortSignal): Promise<Set<string>>;
}

/** What is remembered while a target is in reach. */
export interface Way {
  /** Whether the local nix-daemon lets us sign in its store; null until it was asked. */
  signsInStore: boolean | null;
  /** Whether the machine is told to fetch by itself what others have. */
  fetches: boolean;
}

export interface SendOptions {
  readonly target: UploadTarget;
  readonly nix: NixTools;
  readonly env: NodeJS.ProcessEnv;
  /** A folder of this target's own, for `makeStage`. */
  readonly stage: string;
  readonly key: SigningKey | null;
  /** By path: its derivation, where that is to be sent as well. */
  readonly derivers: ReadonlyMap<string, string>;
  readonly way: Way;
  readonly signal: AbortSignal;
  /** Told what is there, as soon as that is known, and what was copied for it. */
  readonly onArrived: (paths: ReadonlySet<string>, bytes: number) => Promise<void>;
  /** Told of all that is about to be copied. */
  readonly onCopy: (infos: LocalInfos) => void;
  /** Told of each path when it begins to be copied. */
  readonly onPath: (path: string) => void;
}

export interface Sent {
  /** Null when all is there. */
  readonly failure: CopyFailure | null;
  /** Those of the batch that it is about; of the others nothing is known yet. */
  readonly blamed: readonly string[];
  readonly infos: LocalInfos;
}

/** Sends `batch`, of which every path is valid here. Rejects where a program or the target can not be asked. */
export async function send(batch: readonly string[], options: SendOptions): Promise<Sent> {
  const { target, nix, signal, onArrived, onCopy } = options;
  const derivers = await presentDerivers(options);
  const closure = await nix.closure([...batch, ...derivers.values()], signal);
  const there = await target.validPaths(closure, signal);
  /** With its derivation, where that goes along. */
  const isThere = (path: string): boolean => there.has(path) && there.has(derivers.get(path) ?? path);
  const left = (): string[] => batch.filter((path) => !isThere(path));
  const missing = (): string[] => closure.filter((path) => !there.has(path));
  await onArrived(new Set(closure.filter(isThere)), 0);
  const infos = await nix.infos(missing(), signal);
  if (left().length > 0) for (const path of await fetchedThere(infos, options)) there.add(path);
  if (left().length === 0) {
    await onArrived(new Set(closure.filter(isThere)), 0);
    return { failure: null, blamed: [], infos };
  }
  const outputs = left().filter((path) => !there.has(path));
  const drvs = new Set(left().flatMap((path) => derivers.get(path) ?? []));
  const wanted = new Map([...infos].filter(([path]) => !there.has(path)));
  onCopy(wanted);
  const failure = (await copy(outputs, wanted, options)) ?? (await copyDerivations([...drvs], options));
  const arrived = await target.validPaths(missing(), signal);
  const bytes = [...arrived].reduce((sum, path) => sum + (infos.get(path)?.size ?? 0), 0);
  for (const path of arrived) there.add(path);
  await onArrived(new Set(closure.filter(isThere)), bytes);
  if (left().length === 0) return { failure: null, blamed: [], infos };
  const why = failure ?? { code: "copy-failed", text: "nix copy says that they have arrived", path: null };
  return { failure: why, blamed: blame(why, left(), infos), infos };
}

/** Those derivations that are still here. */
async function presentDerivers({ derivers, nix, signal }: SendOptions): Promise<ReadonlyMap<string, string>> {
  if (derivers.size === 0) return derivers;
  const gone = new Set(await nix.invalid([...new Set(derivers.values())], signal));
  return new Map([...derivers].filter(([, drv]) => !gone.has(drv)));
}

/** Has the machine fetch what was fetched here as well. Resolves to what it has then. */
async function fetchedThere(infos: LocalInfos, { target, way, signal }: SendOptions): Promise<Set<string>> {
  const fetched = [...infos].filter(([, info]) => !info.ultimate && info.signatures.length > 0);
  if (!way.fetches || fetched.length === 0) return new Set();
  const begun = performance.now();
  try {
    const there = await target.fetch(
      fetched.map(([path]) => path),
      signal,
    );
    if (there.size === 0 && performance.now() - begun > vainMs) way.fetches = false;
    return there;
  } catch {
    signal.throwIfAborted();
    way.fetches = false;
    return new Set();
  }
}

/** Those that need the path that the failure is about; all of them where it names none. */
function blame({ path }: CopyFailure, paths: readonly string[], infos: LocalInfos): readonly string[] {
  if (path === null) return paths;
  const blamed = paths.filter((one) => one === path || closureWithin(one, infos).has(path));
  return blamed.length === 0 ? paths : blamed;
}

/** Resolves to why it has failed, or to null. */
async function copy(
  wanted: readonly string[],
  infos: LocalInfos,
  options: SendOptions,
): Promise<CopyFailure | null> {
  const { target, nix, key, way, env, signal, onPath } = options;
  if (wanted.length === 0) return null;
  const to = `unix://${target.socket}`;
  const unsigned = key === null ? [] : toSign(infos, new Set(wanted), key.name);
  if (key !== null && unsigned.length > 0 && way.signsInStore !== false) {
    way.signsInStore = await nix.sign(key.file, unsigned, signal);
  }
  const copying = { to, paths: wanted, env, signal, onPath };
  if (key === null || unsigned.length === 0 || way.signsInStore === true) return tryCopy(copying);
  const stage = await makeStage({
    folder: options.stage,
    keyFile: key.file,
    compression: "none",
    missing: infos,
  });
  try {
    const failure = await tryCopy({ to: stage.to, paths: wanted, env, signal });
    if (failure !== null) return ofStage(failure, options.stage);
    return await tryCopy({ ...copying, from: stage.from });
  } finally {
    await stage.remove();
  }
}

/** They and all that they need prove themselves, and so need no signature. */
async function copyDerivations(drvs: readonly string[], options: SendOptions): Promise<CopyFailure | null> {
  const { target, env, signal, onPath } = options;
  if (drvs.length === 0) return null;
  const to = `unix://${target.socket}`;
  return tryCopy({ to, paths: drvs, derivations: true, env, signal, onPath });
}

async function tryCopy(options: CopyOptions): Promise<CopyFailure | null> {
  const { ok, stderr } = await nixCopy(options);
  return ok ? null : copyFailure(stderr);
}

/** The stage lies on this machine, whose disk is not the target's. */
function ofStage({ code, text, path }: CopyFailure, stage: string): CopyFailure {
  if (!/^(target|link)-/.test(code)) return { code, text, path };
  return { code: "copy-failed", text: `the paths could not be signed in ${stage}: ${text}`, path };
}
