// One store path that waits for its upload, and what becomes of it: pure. On disk it is `entries/<base name>.json`.

import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { baseNameOf, isStorePath } from "../protocol/store-path.js";

/** Far above any real entry; a longer file is none of ours. */
export const maxEntryBytes = 64 * 1024;

/** The longest error text that is kept; programs may say more. */
const maxErrorChars = 2_000;

const time = z.int().nonnegative();

const targetSchema = z.object({
  /** `set-aside`: trying again can not help, until somebody does something and asks for it by `retry`. */
  state: z.enum(["waiting", "set-aside"]),
  /** Tries that have failed. */
  tries: z.int().nonnegative(),
  /** Of the last failure: its stable code and its words; null before the first. */
  code: z.string().max(64).nullable(),
  lastError: z.string().max(maxErrorChars).nullable(),
  /** Not to be tried before this time, in milliseconds since the epoch; null: at once. */
  notBefore: time.nullable(),
});

const entrySchema = z.object({
  version: z.literal(1),
  path: z.string().refine(isUploadable),
  /** The derivation it was built from, where that is known. */
  deriver: z.string().refine(isStorePath).nullable(),
  /** When it was built or handed over, in milliseconds since the epoch. */
  since: time,
  /** To be sent also when uploads are held back: somebody has asked for just this. */
  now: z.boolean().optional(),
  /** Where it has not arrived yet, by the cache's name. */
  targets: z
    .record(z.string().min(1).max(64), targetSchema)
    .refine((targets) => Object.keys(targets).length > 0),
});

type DeepReadonly<T> = { readonly [K in keyof T]: T[K] extends object ? DeepReadonly<T[K]> : T[K] };

/** How far a path has come with one target. */
export type TargetProgress = DeepReadonly<z.output<typeof targetSchema>>;
export type Entry = DeepReadonly<z.output<typeof entrySchema>>;

export interface SpoolCounts {
  readonly waiting: number;
  readonly setAside: number;
}

/** What is known of a path when it comes in. */
export interface Addition {
  readonly path: string;
  readonly deriver: string | null;
  readonly since: number;
}

/** Why an upload did not succeed. */
export interface Failure {
  readonly code: string;
  readonly text: string;
  /** Trying again can not help: the path is set aside for this target. */
  readonly permanent: boolean;
  /** When to try again, in milliseconds since the epoch; of no meaning for what is permanent. */
  readonly notBefore?: number | null;
}

/** The code of a path that has left the store before it was sent. */
const pathGone = "path-gone";

/** Whether a path can be queued. Derivations can not: what is to hold a path would build them. */
export function isUploadable(path: string): boolean {
  return isStorePath(path) && !path.endsWith(".drv");
}

export function entryFileName(path: string): string {
  return `${baseNameOf(path)}.json`;
}

/** @throws Error that says what is wrong with the file's text, or that it belongs under another name. */
export function parseEntry(fileName: string, text: string): Entry {
  const parsed = entrySchema.safeParse(JSON.parse(text));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new Error(`${issue?.path.join(".") || "the entry"}: ${issue?.message ?? "not valid"}`);
  }
  if (entryFileName(parsed.data.path) !== fileName) throw new Error(`it is about ${parsed.data.path}`);
  return parsed.data;
}

export function formatEntry(entry: Entry): string {
  return `${JSON.stringify(entry)}\n`;
}

const fresh: TargetProgress = { state: "waiting", tries: 0, code: null, lastError: null, notBefore: null };

/**
 * The entry for a path that has come in, with what is known of it already. What is new waits for every target; what
 * waits keeps its progress, but a path that was gone has come back. The same object where nothing changes.
 */
export function fold(known: Entry | undefined, addition: Addition, targets: readonly string[]): Entry {
  const { path, deriver, since } = addition;
  const added = Object.fromEntries(targets.map((name) => [name, fresh]));
  if (known === undefined) return { version: 1, path, deriver, since, targets: added };
  const next = {
    ...known,
    deriver: known.deriver ?? deriver,
    targets: { ...added, ...asBack(known).targets },
  };
  return isDeepStrictEqual(next, known) ? known : next;
}

/** Orders by age, the oldest first, and what came at once by its path. */
export function byAge(one: Entry, other: Entry): number {
  return one.since - other.since || (one.path < other.path ? -1 : 1);
}

/** Null when it has arrived everywhere. */
export function withArrival(entry: Entry, target: string): Entry | null {
  const targets = Object.fromEntries(Object.entries(entry.targets).filter(([name]) => name !== target));
  return Object.keys(targets).length === 0 ? null : { ...entry, targets };
}

/** The same entry where it does not wait for that target. */
export function withFailure(entry: Entry, target: string, failure: Failure): Entry {
  const before = entry.targets[target];
  if (before === undefined) return entry;
  const progress: TargetProgress = {
    state: failure.permanent ? "set-aside" : "waiting",
    tries: before.tries + 1,
    code: failure.code.slice(0, 64),
    lastError: failure.text.slice(0, maxErrorChars),
    notBefore: failure.permanent ? null : (failure.notBefore ?? null),
  };
  return { ...entry, targets: { ...entry.targets, [target]: progress } };
}

/** Set aside everywhere, for there is nothing left to send, until it is there again or somebody asks. */
export function asGone(entry: Entry): Entry {
  const text = `${entry.path} is not in the store any more. Once it is built again: nix-tether queue retry`;
  const failure: Failure = { code: pathGone, text, permanent: true };
  return Object.keys(entry.targets).reduce((next, target) => withFailure(next, target, failure), entry);
}

/** It is there again: to be tried at once wherever that was what was missing. */
export function asBack(entry: Entry): Entry {
  const targets = mapTargets(entry.targets, (progress) => (progress.code === pathGone ? fresh : progress));
  return { ...entry, targets };
}

export function isGone(entry: Entry): boolean {
  return Object.values(entry.targets).some(({ code }) => code === pathGone);
}

/** To be tried at once, everywhere; with `now` also when uploads are held back. */
export function withRetry(entry: Entry, { now }: { now: boolean }): Entry {
  return { ...entry, ...(now ? { now } : {}), targets: mapTargets(entry.targets, () => fresh) };
}

/** How many paths wait, and how many are set aside wherever they have not arrived; for every target, or for one. */
export function countEntries(entries: readonly Entry[], target?: string): SpoolCounts {
  let waiting = 0;
  let setAside = 0;
  for (const { targets } of entries) {
    const progress = target === undefined ? Object.values(targets) : [targets[target]];
    if (progress.some((one) => one?.state === "waiting")) waiting += 1;
    else if (progress.some((one) => one?.state === "set-aside")) setAside += 1;
  }
  return { waiting, setAside };
}

function mapTargets(
  targets: Entry["targets"],
  change: (progress: TargetProgress) => TargetProgress,
): Entry["targets"] {
  return Object.fromEntries(Object.entries(targets).map(([name, progress]) => [name, change(progress)]));
}
