// Makes the checks one after the other, each within its time. What hangs on something that has failed is not looked at.

import { withDeadline } from "../util/abort.js";
import { TetherError, messageOf } from "../util/errors.js";
import type { Check, Result } from "./check.js";
import { failure, skipped, type Finding } from "./finding.js";
import { isSettledLate, settleWays, type WayFinding } from "./settle.js";

/** For a check that does not say, in milliseconds. */
const defaultMs = 10_000;

export interface ExamineOptions {
  /** For all of them, in milliseconds: what is left then is not looked at. */
  readonly wholeMs: number;
  /** Ends it: what was not answered by then has no result. */
  readonly signal: AbortSignal;
  /** Told each result as soon as it is known. */
  readonly onResult: (result: Result) => void;
}

/** What was found, before the ways were settled. */
type Found = ReadonlyMap<Check, readonly Finding[]>;

/** Resolves to the results, in the order of the checks. */
export async function examine(checks: readonly Check[], options: ExamineOptions): Promise<Result[]> {
  const { wholeMs, signal, onResult } = options;
  const until = performance.now() + wholeMs;
  const found = new Map<Check, readonly Finding[]>();
  const results: Result[] = [];
  let held: (WayFinding & { readonly check: Check })[] = [];
  const tell = (check: Check, finding: Finding): void => {
    const { id, cache, title } = check;
    const result = { id, cache, way: check.way?.label ?? null, title, ...finding };
    results.push(result);
    onResult(result);
  };
  const settle = (): void => {
    for (const { check, finding } of settleWays(held)) tell(check, finding);
    held = [];
  };
  for (const check of checks) {
    if (signal.aborted) break;
    const { id, cache, way } = check;
    if (held.some((one) => way === null || one.check.cache !== cache)) settle();
    const blocker = blockerOf(check, checks, found);
    const left = until - performance.now();
    const findings =
      blocker !== null
        ? [skipped(`waits for: ${blocker.title}`)]
        : left <= 0
          ? [skipped("not looked at: the time is up")]
          : await findingsOf(check, Math.min(check.ms ?? defaultMs, left), signal);
    if (signal.aborted) break;
    found.set(check, findings);
    for (const finding of findings) {
      if (way !== null && isSettledLate(way)) held.push({ check, id, way, finding });
      else tell(check, finding);
    }
  }
  settle();
  return results;
}

/** The check that stands first in the way of this one: not a check that itself was blocked. Null where none does. */
function blockerOf(check: Check, checks: readonly Check[], found: Found): Pick<Check, "title"> | null {
  for (const need of check.needs) {
    const needed = checks.filter(({ id, cache, way }) => {
      const isSameCache = cache === null || cache === check.cache;
      return id === need && isSameCache && (way === null || check.way === null || way === check.way);
    });
    if (needed.some((one) => isWell(found.get(one)))) continue;
    const first = needed[0] ?? closedWay(check, checks);
    if (first !== undefined) return blockerOf(first, checks, found) ?? first;
  }
  return null;
}

/** Where a check is not made by any way of the cache: the check of a way that tells why; null where one is open. */
function closedWay({ cache }: Check, checks: readonly Check[]): Check | undefined {
  const own = checks.filter((one) => one.way !== null && one.cache === cache);
  return own.some(({ way }) => way?.depth === "whole") ? undefined : own.find(({ id }) => id === "way");
}

function isWell(findings: readonly Finding[] = []): boolean {
  return findings.length > 0 && findings.every(({ mark }) => mark === "ok" || mark === "warning");
}

async function findingsOf(check: Check, ms: number, signal: AbortSignal): Promise<readonly Finding[]> {
  const late = new AbortController();
  try {
    if (check.look === null) return [skipped("not looked at")];
    const looking = check.look(AbortSignal.any([signal, late.signal]));
    const found = await withDeadline(untilAborted(looking, signal), ms, check.title);
    return "mark" in found ? [found] : found;
  } catch (error) {
    if (error instanceof TetherError) return [failure(error.message, error.remedy ?? null)];
    return [failure(messageOf(error), null)];
  } finally {
    late.abort(new TetherError("timeout", `${check.title}: given up`));
  }
}

/** A check that does not listen to the signal must not keep the person at the keyboard. */
function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener("abort", onAbort, { once: true });
    promise
      .finally(() => signal.removeEventListener("abort", onAbort))
      .then(resolve, (error: unknown) => reject(error as Error));
  });
}
