// The daemon's pulse: now and then everything is looked at again, whether or not anything has happened, and systemd hears
// that the daemon lives.

import type { Logger } from "pino";
import { withDeadline } from "../util/abort.js";
import { messageOf } from "../util/errors.js";

/** How often, in milliseconds, where no watchdog wants it more often. */
const usualMs = 60_000;

/** A beat that takes longer than this many milliseconds does not count: the daemon hangs somewhere. */
const withinMs = 10_000;

/** What a beat consists of, and who hears of it. */
export interface PulseDeps {
  /** Looks at everything again, by way of the same queue as every event; must not hang and must not reject. */
  readonly beat: () => Promise<unknown>;
  /** Told after each beat that was done in time. */
  readonly onAlive: () => void;
  /** How soon systemd takes silence for death, in milliseconds; null when it does not watch. */
  readonly watchdogMs: number | null;
  readonly log: Logger;
}

/** A pulse that beats. */
export interface Pulse {
  stop(): void;
}

/** The first beat comes after one interval: a start has looked at everything. */
export function startPulse(deps: PulseDeps): Pulse {
  const { beat, onAlive, log } = deps;
  // Half of it, as sd_watchdog_enabled(3) advises. Timers stand still in suspend, and so does systemd's watchdog.
  const everyMs = Math.min(usualMs, deps.watchdogMs === null ? usualMs : deps.watchdogMs / 2);
  let beating: Promise<unknown> | null = null;
  const timer = setInterval(() => {
    beating ??= beat().finally(() => (beating = null));
    const done = withDeadline(beating, Math.min(withinMs, everyMs), "looking at everything again");
    done.then(onAlive, (error: unknown) => log.error({ reason: messageOf(error) }, "the daemon hangs"));
  }, everyMs);
  return { stop: () => clearInterval(timer) };
}
