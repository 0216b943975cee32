// Time as a parameter: the wall clock, the monotonic clock and timers, so that tests can turn the hands.

/** Both clocks read together. In suspend the wall clock runs on and the monotonic clock stands still. */
export interface ClockReading {
  /** Milliseconds since 1970; jumps when somebody sets the clock. */
  readonly wall: number;
  /** Milliseconds of a clock that only counts while the machine runs. */
  readonly monotonic: number;
}

/** The time and the timers that the network watch uses. No timer keeps the process alive. */
export interface Clock {
  read(): ClockReading;
  /** Runs `action` once after `ms` milliseconds. The answer calls it off. */
  after(ms: number, action: () => void): () => void;
  /** Runs `action` every `ms` milliseconds. The answer ends it. */
  every(ms: number, action: () => void): () => void;
}

/** The machine's own clocks. On Linux `performance.now()` is CLOCK_MONOTONIC, which leaves suspend out. */
export const systemClock: Clock = {
  read: () => ({ wall: Date.now(), monotonic: performance.now() }),
  after(ms, action) {
    const timer = setTimeout(action, ms).unref();
    return () => clearTimeout(timer);
  },
  every(ms, action) {
    const timer = setInterval(action, ms).unref();
    return () => clearInterval(timer);
  },
};
