// A bounded number of places and a fair queue for them. Waiting is no fault while those ahead get on.

import { TetherError } from "../util/errors.js";

/** The places and those who wait for one. */
export interface Turns {
  /**
   * Resolves with the function that gives the place back (idempotent). Rejects with the signal's reason, with
   * code `busy` when nothing has moved for too long, or with `closed`.
   */
  take(signal: AbortSignal): Promise<() => void>;
  /** Rejects everyone who waits. */
  close(): void;
}

interface Waiting {
  readonly begin: () => void;
  readonly refuse: (error: Error) => void;
}

/** `progress` is any number that changes as those with a place get on; `waitMs` how long it may stand still. */
export function createTurns(options: { places: number; waitMs: number; progress: () => number }): Turns {
  const { places, waitMs, progress } = options;
  const queue = new Set<Waiting>();
  let taken = 0;

  const place = (): (() => void) => {
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      const [next] = queue;
      if (next === undefined) taken -= 1;
      else next.begin();
    };
  };

  const wait = (signal: AbortSignal): Promise<() => void> =>
    new Promise((resolve, reject) => {
      let seen = progress();
      const leave = (): void => {
        queue.delete(waiting);
        clearTimeout(timer);
        signal.removeEventListener("abort", onAbort);
      };
      const waiting: Waiting = {
        begin: () => {
          leave();
          resolve(place());
        },
        refuse: (error) => {
          leave();
          reject(error);
        },
      };
      const onAbort = (): void => waiting.refuse(signal.reason as Error);
      const onPeriod = (): void => {
        if (progress() === seen) {
          waiting.refuse(new TetherError("busy", `all ${places} connections for NARs stand still`));
          return;
        }
        seen = progress();
        timer = setTimeout(onPeriod, waitMs);
      };
      let timer = setTimeout(onPeriod, waitMs);
      signal.addEventListener("abort", onAbort, { once: true });
      queue.add(waiting);
    });

  return {
    take: (signal) => {
      if (signal.aborted) return Promise.reject(signal.reason as Error);
      if (taken >= places) return wait(signal);
      taken += 1;
      return Promise.resolve(place());
    },
    close: () => {
      for (const waiting of queue) waiting.refuse(new TetherError("closed", "the cache was closed"));
    },
  };
}
