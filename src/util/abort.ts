// Bounded waits: every await on the outside world has a deadline and can be called off.

import { setMaxListeners } from "node:events";
import { TetherError } from "./errors.js";

/** Resolves after `ms` milliseconds, or rejects with the signal's reason when it is aborted first. */
export function delay(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** `promise`, or a rejection with code `timeout` after `ms` milliseconds. Does not stop the work itself. */
export function withDeadline<T>(promise: Promise<T>, ms: number, doing: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new TetherError("timeout", `${doing}: no answer within ${ms} ms`)),
      ms,
    );
    promise.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error as Error);
      },
    );
  });
}

/** `promise`; once the signal is aborted it has `ms` milliseconds to settle, then this rejects with the signal's reason. */
export function leaving<T>(promise: Promise<T>, signal: AbortSignal, ms: number): Promise<T> {
  // Many may wait for one, and each leaves when it has ended.
  setMaxListeners(0, signal);
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | null = null;
    const onAbort = (): void => {
      timer = setTimeout(() => reject(signal.reason as Error), ms);
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    void promise.then(resolve, reject).finally(() => {
      signal.removeEventListener("abort", onAbort);
      if (timer !== null) clearTimeout(timer);
    });
  });
}
