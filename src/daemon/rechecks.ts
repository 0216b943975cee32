// Asks a cache again, as long as one link to it is in use, for what it was said not to have: at first, from time to
// time, and when something was probably uploaded. Where nothing is in doubt, nothing is asked.

import type { Logger } from "pino";
import { delay } from "../util/abort.js";
import { messageOf } from "../util/errors.js";

/** Times in milliseconds. */
export interface RecheckTimes {
  /** From one round to the next: what is built there must be fetched within a minute. */
  readonly periodMs: number;
  /** From an upload to the round that it causes: uploads come in bursts. */
  readonly uploadMs: number;
  /** From a round that failed to the next. */
  readonly retryMs: number;
  /** A round is given up after this time. */
  readonly roundMs: number;
  /** So long is the cache kept out of Nix's sight for the first round. */
  readonly settleMs: number;
}

export const defaultRecheckTimes: RecheckTimes = {
  periodMs: 40_000,
  uploadMs: 1_000,
  retryMs: 5_000,
  roundMs: 20_000,
  settleMs: 1_000,
};

/** Each question costs a web server a request and a line in its log, and there may be thousands. */
export const webRecheckTimes: RecheckTimes = {
  ...defaultRecheckTimes,
  periodMs: 5 * 60_000,
  retryMs: 60_000,
  roundMs: 60_000,
};

/** What is asked, and how often. */
export interface RechecksDeps {
  /** Whether anything is in doubt. */
  readonly inDoubt: () => boolean;
  /**
   * Asks for all that is in doubt, and acts on the answer; `first`: for the first time since the cache returned. Rejects
   * when the answer can not be had.
   */
  readonly ask: (round: { readonly first: boolean; readonly signal: AbortSignal }) => Promise<void>;
  readonly times: RecheckTimes;
  readonly log: Logger;
}

/** The rounds of one link, from its beginning on. */
export interface Rechecks {
  /** When the first round has ended, or has taken too long; null where there is nothing to ask. */
  readonly settled: Promise<void> | null;
  /** Something is in doubt from now on. */
  denied(): void;
  /** Something may be there from now on. */
  uploaded(): void;
  /** Asks at once, after a round that runs; resolves when the answer has had its effect, or can not be had. */
  now(): Promise<void>;
  /** The link is in use no more. */
  end(): void;
}

/** Begins with the first round. */
export function beginRechecks(deps: RechecksDeps): Rechecks {
  const { times, log } = deps;
  const ending = new AbortController();
  let running = false;
  /** The last round of those that run or wait for their turn. */
  let last: Promise<void> | null = null;
  let first = true;
  /** When the next round is due, by `performance.now()`. */
  let dueAt = Infinity;
  let timer: NodeJS.Timeout | undefined;

  const plan = (ms: number): void => {
    const at = performance.now() + ms;
    if (ending.signal.aborted || dueAt <= at) return;
    dueAt = at;
    if (!running) arm();
  };
  const arm = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => void round(), Math.max(0, dueAt - performance.now()));
  };
  const round = (): Promise<void> => {
    const turn = (last === null ? askOnce() : last.then(askOnce)).finally(() => {
      if (last === turn) last = null;
    });
    last = turn;
    return turn;
  };
  const askOnce = async (): Promise<void> => {
    dueAt = Infinity;
    if (ending.signal.aborted || !deps.inDoubt()) return;
    running = true;
    try {
      await deps.ask({ first, signal: AbortSignal.any([ending.signal, AbortSignal.timeout(times.roundMs)]) });
      first = false;
      if (deps.inDoubt()) plan(times.periodMs);
    } catch (error) {
      if (!ending.signal.aborted) log.debug({ reason: messageOf(error) }, "could not ask again");
      plan(times.retryMs);
    }
    running = false;
    if (dueAt < Infinity && !ending.signal.aborted) arm();
  };

  const settled = deps.inDoubt() ? Promise.race([round(), delay(times.settleMs, ending.signal)]) : null;
  return {
    settled: settled?.catch(() => undefined) ?? null,
    denied: () => plan(times.periodMs),
    uploaded: () => plan(times.uploadMs),
    now: round,
    end: () => {
      ending.abort();
      clearTimeout(timer);
    },
  };
}
