// Puts together what logind and the clocks say of the machine's sleep: each sleep and each waking is told once, and
// no sleep is told without its end.

import type { Clock } from "../clock.js";
import type { SleepGuard } from "./sleep-guard.js";
import { createWakeWatch } from "./wake.js";

/** Milliseconds between readings of the clocks: how late a waking is noticed where logind does not tell. */
const clockEvery = 5_000;
/**
 * A sleep that was told of and has not begun this many milliseconds later, by a clock that stands still while the
 * machine sleeps, will not come; or its end was missed.
 */
export const sleepOverdue = 30_000;

/** What happened. See `NetmonEvent`. */
type SleepEvent =
  { readonly type: "sleep"; readonly done: () => void } | { readonly type: "wake"; readonly cause: string };

/** Takes what logind says. */
export interface SleepWatch {
  /** The machine is about to sleep. */
  toldSleep(): void;
  /** The machine woke, or does not sleep after all. */
  toldWake(cause: string): void;
  /** Whether logind can be heard. When it falls silent nobody would tell that a sleep is over. */
  setListening(listening: boolean): void;
  /** Ends the watch and lets the machine sleep. */
  close(): Promise<void>;
}

/** Begins to read the clocks. */
export function createSleepWatch(
  clock: Clock,
  guard: SleepGuard,
  tell: (event: SleepEvent) => void,
): SleepWatch {
  const wake = createWakeWatch(clock.read());
  /** Set from the moment a sleep is told until its end is. */
  let stopExpecting: (() => void) | null = null;

  const onAwake = (cause: string, isNews: boolean): void => {
    stopExpecting?.();
    stopExpecting = null;
    guard.woke();
    if (isNews) tell({ type: "wake", cause });
  };
  const toldWake = (cause: string): void => onAwake(cause, wake.told(clock.read()));
  const stopClock = clock.every(clockEvery, () => {
    if (wake.tick(clock.read())) onAwake("clock", true);
  });

  return {
    toldSleep() {
      wake.sleeps();
      stopExpecting?.();
      stopExpecting = clock.after(sleepOverdue, () => toldWake("overdue"));
      tell({ type: "sleep", done: guard.prepare() });
    },
    toldWake,
    setListening(listening) {
      guard.setListening(listening);
      if (!listening && stopExpecting !== null) toldWake("overdue");
    },
    close() {
      stopClock();
      stopExpecting?.();
      return guard.close();
    },
  };
}
