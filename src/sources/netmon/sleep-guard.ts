// Decides when the delay lock is held: while logind runs and the machine is awake.

import type { Clock } from "../clock.js";
import type { SleepLock } from "./sleep-lock.js";

/** Milliseconds that leaving may take. logind itself waits for 5 s (InhibitDelayMaxSec) and then sleeps anyway. */
export const leaveWithin = 4_000;

/** Holds at most one lock. */
export interface SleepGuard {
  /** Whether logind can be heard. A lock held without hearing it would only delay every sleep. */
  setListening(listening: boolean): void;
  /** The machine is about to sleep. It does so when the answer is called, or after `leaveWithin`. */
  prepare(): () => void;
  /** The machine is awake: the lock is taken again. */
  woke(): void;
  /** Lets go for good. */
  close(): Promise<void>;
}

/** `take` begins to take a lock, in the background. */
export function createSleepGuard(clock: Clock, take: () => SleepLock): SleepGuard {
  let listening = false;
  let asleep = false;
  let sleeps = 0;
  let lock: SleepLock | null = null;
  let cancelDeadline: (() => void) | null = null;

  const letGo = async (): Promise<void> => {
    cancelDeadline?.();
    cancelDeadline = null;
    const held = lock;
    lock = null;
    await held?.release();
  };
  const hold = (): void => {
    if (listening && !asleep && !lock?.isHeld()) lock = take();
  };

  return {
    setListening(now) {
      if (listening === now) return;
      listening = now;
      asleep = false;
      if (now) hold();
      else void letGo();
    },
    prepare() {
      asleep = true;
      const mine = ++sleeps;
      const done = (): void => {
        // After waking, or in another sleep, an old answer means nothing.
        if (asleep && mine === sleeps) void letGo();
      };
      cancelDeadline?.();
      cancelDeadline = clock.after(leaveWithin, done);
      return done;
    },
    woke() {
      asleep = false;
      cancelDeadline?.();
      cancelDeadline = null;
      hold();
    },
    async close() {
      listening = false;
      await letGo();
    },
  };
}
