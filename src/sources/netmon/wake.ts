// Tells that the machine has woken: logind says so, or the wall clock has run ahead of the monotonic one,
// which happens where no logind runs or its signal was missed.

import type { ClockReading } from "../clock.js";

/** The wall clock ahead by more than this many milliseconds is a sleep: time servers correct by far less. */
export const jumpThreshold = 10_000;

/** A second sign of the same waking within this many milliseconds is not told again. */
export const sameWaking = 5_000;

/** Milliseconds that the wall clock gained on the monotonic clock from one reading to the next. */
export function clockGain(from: ClockReading, to: ClockReading): number {
  return to.wall - from.wall - (to.monotonic - from.monotonic);
}

/** Remembers the last reading and the last waking; answers whether a waking is new. */
export interface WakeWatch {
  /** To be asked every few seconds: whether the clocks show a sleep that nobody has told of. */
  tick(now: ClockReading): boolean;
  /** logind says that the machine goes to sleep: the next waking is news, however soon after the last it comes. */
  sleeps(): void;
  /** logind says that the machine woke: whether that is news. */
  told(now: ClockReading): boolean;
}

/** Begins with both clocks as they stand. */
export function createWakeWatch(start: ClockReading): WakeWatch {
  let last = start;
  let wokeAt = -Infinity;

  const isNews = (now: ClockReading): boolean => {
    const news = now.monotonic - wokeAt > sameWaking;
    wokeAt = now.monotonic;
    return news;
  };

  return {
    tick(now) {
      const gain = clockGain(last, now);
      last = now;
      return gain > jumpThreshold && isNews(now);
    },
    sleeps() {
      wokeAt = -Infinity;
    },
    told(now) {
      last = now;
      return isNews(now);
    },
  };
}
