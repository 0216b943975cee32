// What a run of a farm came to: kept as JSON, version 1; keys may be added, never renamed.

import { readBounded } from "../util/durable-file.js";
import type { LockChange } from "./lock-changes.js";
import type { BuildFailure } from "./nix-events.js";

export interface BuildReport {
  readonly attribute: string;
  readonly ok: boolean;
  readonly ms: number;
  /** Store paths; empty where it has failed. */
  readonly paths: readonly string[];
  /** Of one that has failed: what the last good build came to, which is kept. */
  readonly lastGood: string | null;
  /** How many derivations were built for it here, and store paths fetched. */
  readonly built: number;
  readonly fetched: number;
  readonly failures: readonly BuildFailure[];
}

/** What was pushed to one target. */
export interface PushResult {
  readonly target: string;
  /** `queued`: the daemon sends it when it can; nobody has waited for that. */
  readonly state: "pushed" | "queued" | "failed" | "skipped";
  readonly paths: number;
  /** Paths that were there before. */
  readonly alreadyThere: number;
  /** Sent, compressed. */
  readonly bytes: number;
  /** Of the paths that were sent without a signature: Nix does not take them. */
  readonly unsigned: number;
  readonly ms: number;
  /** Why not, where it is `failed` or `skipped`. */
  readonly error: string | null;
}

export interface GitResult {
  readonly state: "pushed" | "not-pushed" | "failed";
  /** Why, in a sentence's middle. */
  readonly reason: string;
  /** The update was put on top of commits that came meanwhile, and was not built together with them. */
  readonly rebased: boolean;
  /** What was pushed: after a rebase another one than the lock's. */
  readonly commit: string | null;
}

/** In the order in which they count. */
export type RunResult = "ok" | "cancelled" | "failed" | "builds-failed" | "push-failed";

export interface FarmReport {
  readonly version: 1;
  readonly farm: string;
  readonly result: RunResult;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly ms: number;
  readonly repository: string;
  /** These are null, or empty, where the run did not get so far. */
  readonly branch: string | null;
  /** What the remote branch was at. */
  readonly commit: string | null;
  /** A commit of an earlier run that was never pushed, and where it is kept. */
  readonly kept: { readonly commit: string; readonly ref: string } | null;
  readonly lock: { readonly changes: readonly LockChange[]; readonly commit: string | null } | null;
  readonly builds: readonly BuildReport[];
  /** How many paths were signed, where the farm has a key. */
  readonly signed: number | null;
  readonly pushes: readonly PushResult[];
  readonly git: GitResult | null;
  /** What ended the run before its time, or kept its results from being signed. */
  readonly error: { readonly code: string; readonly message: string; readonly remedy: string | null } | null;
}

/** Of a run that has come to its end. */
export function resultOf(report: Pick<FarmReport, "builds" | "pushes" | "git" | "error">): RunResult {
  const { builds, pushes, git, error } = report;
  if (builds.some(({ ok }) => !ok)) return "builds-failed";
  // What goes wrong after the builds, and is told so, is the signing.
  if (
    error !== null ||
    git?.state === "failed" ||
    pushes.some(({ state }) => state === "failed" || state === "skipped")
  )
    return "push-failed";
  return "ok";
}

const maxBytes = 16 * 1024 * 1024;

/** Null where there is none, or none that can be read. */
export async function readReport(file: string): Promise<FarmReport | null> {
  try {
    const report = JSON.parse(await readBounded(file, maxBytes)) as FarmReport;
    return report.version === 1 ? report : null;
  } catch {
    return null;
  }
}
