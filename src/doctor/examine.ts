// Makes the checks one after the other, each within its time. What hangs on something that has failed is not looked at.

import { withDeadline } from "../util/abort.js";
import { TetherError, messageOf } from "../util/errors.js";
import type { Check, Result } from "./check.js";
import { failure, skipped, type Finding } from "./finding.js";

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

/** Resolves to the results, in the order of the checks. */
export async function examine(checks: readonly Check[], options: ExamineOptions): Promise<Result[]> {
  const { wholeMs, signal, onResult } = options;
  const until = performance.now() + wholeMs;
  const results: Result[] = [];
  for (const check of checks) {
    if (signal.aborted) break;
    const blocker = blockerOf(check, checks, results);
    const left = until - performance.now();
    const findings =
      blocker !== null
        ? [skipped(`waits for: ${blocker.title}`)]
        : left <= 0
          ? [skipped("not looked at: the time is up")]
          : await findingsOf(check, Math.min(check.ms ?? defaultMs, left), signal);
    if (signal.aborted) break;
    const { id, cache, title } = check;
    for (const finding of findings) {
      const result = { id, cache, title, ...finding };
      results.push(result);
      onResult(result);
    }
  }
  return results;
}

/** The check that stands first in the way of this one: not a check that itself was blocked. Null where none does. */
export function blockerOf(
  check: Check,
  checks: readonly Check[],
  results: readonly Result[],
): Pick<Check, "title"> | null {
  for (const need of check.needs) {
    const concerns = ({ id, cache }: Pick<Check, "id" | "cache">): boolean =>
      id === need && (cache === null || cache === check.cache);
    const found = results.filter(concerns);
    if (found.length > 0 && found.every(({ mark }) => mark === "ok" || mark === "warning")) continue;
    const needed = checks.find(concerns);
    if (needed === undefined) continue;
    return blockerOf(needed, checks, results) ?? needed;
  }
  return null;
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
