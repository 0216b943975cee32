// One change of the network makes a burst of bus signals. The first is acted on at once, the rest are folded
// together, and when they have ended the state is read once more, for addresses that came late.

import type { Clock } from "../clock.js";

/** When to look during a burst, in milliseconds. */
export interface BurstTimes {
  /** Between two looks while signals keep coming: short enough that a pulled cable is seen within 100 ms. */
  readonly between: number;
  /** After the last signal until the final look. */
  readonly quiet: number;
}

/** Reading the state takes under a millisecond, so looking every 50 ms of a burst costs nothing. */
export const burstTimes: BurstTimes = { between: 50, quiet: 150 };

/**
 * Which look of a burst this is. `first` and `last` are worth telling even when nothing differs: the machine
 * may have joined another network with the same addresses, or an address may have become usable.
 */
export type Look = "first" | "during" | "last";

/** Turns pokes into looks. */
export interface Burst {
  /** Something happened. Calls `look` before it returns, or arranges for it. */
  poke(cause: string): void;
  /** Forgets what is arranged. */
  stop(): void;
}

/** Calls `look` with the cause of the newest poke. */
export function createBurst(
  clock: Clock,
  look: (which: Look, cause: string) => void,
  times: BurstTimes = burstTimes,
): Burst {
  let newest = "";
  let lookedAt = 0;
  let cancelDuring: (() => void) | null = null;
  let cancelLast: (() => void) | null = null;

  const lookNow = (which: Look): void => {
    cancelDuring?.();
    cancelDuring = null;
    lookedAt = clock.read().monotonic;
    look(which, newest);
  };
  const end = (): void => {
    cancelLast = null;
    lookNow("last");
  };

  return {
    poke(cause) {
      newest = cause;
      const begins = cancelLast === null;
      cancelLast?.();
      cancelLast = clock.after(times.quiet, end);
      if (begins) return lookNow("first");
      if (cancelDuring !== null) return;
      const wait = lookedAt + times.between - clock.read().monotonic;
      if (wait <= 0) return lookNow("during");
      cancelDuring = clock.after(wait, () => lookNow("during"));
    },
    stop() {
      cancelDuring?.();
      cancelLast?.();
      cancelDuring = cancelLast = null;
    },
  };
}
