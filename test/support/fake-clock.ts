// Time that stands still until a test moves it.

import type { Clock } from "../../src/sources/clock.js";

/** A clock whose hands a test turns. */
export interface FakeClock extends Clock {
  /** The machine runs for `ms` milliseconds: timers fire in order, each at its time. */
  run(ms: number): void;
  /** The machine sleeps for `ms` milliseconds: only the wall clock goes on. */
  suspend(ms: number): void;
}

interface Timer {
  at: number;
  readonly every: number | null;
  readonly action: () => void;
}

export function createFakeClock(): FakeClock {
  let monotonic = 1_000;
  let ahead = 1_700_000_000_000;
  const timers = new Set<Timer>();
  const add = (timer: Timer): (() => void) => {
    timers.add(timer);
    return () => timers.delete(timer);
  };
  return {
    read: () => ({ wall: ahead + monotonic, monotonic }),
    after: (ms, action) => add({ at: monotonic + ms, every: null, action }),
    every: (ms, action) => add({ at: monotonic + ms, every: ms, action }),
    run(ms) {
      const until = monotonic + ms;
      for (;;) {
        const next = [...timers].filter(({ at }) => at <= until).toSorted((a, b) => a.at - b.at)[0];
        if (next === undefined) break;
        monotonic = Math.max(monotonic, next.at);
        if (next.every === null) timers.delete(next);
        else next.at += next.every;
        next.action();
      }
      monotonic = until;
    },
    suspend(ms) {
      ahead += ms;
    },
  };
}
