// One question to the network, from the first packet to the last answer that is waited for.

import type { HeardRecord } from "./records.js";
import type { Picture, Question } from "./picture.js";

/** What asking needs of the world. */
export interface AskingDeps {
  /** Listens to the deadline, whoever has answered before: more than one machine may. */
  readonly thorough: boolean;
  /** The picture holds an answer; what comes now adds to it. */
  readonly onAnswered?: () => void;
  /** Asks on every link; each list is a packet. Returns on how many links. */
  readonly ask: (packets: readonly (readonly Question[])[]) => number;
  /** Calls back with everything heard until unsubscribed. */
  readonly listen: (onRecords: (link: string, records: readonly HeardRecord[]) => void) => () => void;
  /** Milliseconds from any origin. */
  readonly now: () => number;
}

/**
 * When to ask, in milliseconds, until there is an answer. Packets are lost on Wi-Fi, and a responder keeps
 * silent about what it has sent in the last moment (avahi: 500 ms), so one question is not enough.
 */
export const ASK_AT_MS: readonly number[] = [0, 250, 600, 1100];

/** After the first answer: time for the other address family and the other interfaces. */
export const GATHER_MS = 60;

/**
 * Until when an answer without an IPv4 address is held back: the other half may have been lost, or the
 * responder may keep silent about it, having sent it just before.
 */
export const PARTIAL_MS = 700;

/** The whole of it. */
export const DEADLINE_MS = 1500;

/**
 * Asks until the picture holds an IPv4 endpoint (any, after a while), and listens a little longer for the others; the
 * picture stays empty when nobody answers in time, or at once when there is no link to ask on. Ends early
 * when aborted; never rejects.
 */
export async function askFor(picture: Picture, deps: AskingDeps, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const timers: NodeJS.Timeout[] = [];
  const later = (ms: number, action: () => void): void => {
    timers.push(setTimeout(action, ms));
  };
  const followedUp = new Set<string>();
  let gathering = false;
  let anyWillDo = false;
  let finish: () => void = () => undefined;
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });

  const isAnswered = (): boolean =>
    !deps.thorough && picture.endpoints().some(({ family }) => family === 4 || anyWillDo);
  const ask = (): void => {
    if (isAnswered()) return;
    const missing = picture.missing();
    const links = deps.ask(missing.length > 0 ? [...picture.questions(), missing] : picture.questions());
    if (links === 0) finish();
  };
  const followUp = (): void => {
    const fresh = picture.missing().filter((question) => !followedUp.has(questionKey(question)));
    for (const question of fresh) followedUp.add(questionKey(question));
    if (fresh.length > 0) deps.ask([fresh]);
  };
  const endGathering = (): void => {
    gathering = false;
    if (isAnswered()) finish();
  };

  const gather = (): void => {
    if (gathering || !isAnswered()) return;
    gathering = true;
    deps.onAnswered?.();
    later(GATHER_MS, endGathering);
  };
  const stopListening = deps.listen((link, records) => {
    picture.apply(link, records, deps.now());
    followUp();
    gather();
  });
  signal.addEventListener("abort", finish, { once: true });
  try {
    for (const ms of ASK_AT_MS.slice(1)) later(ms, ask);
    later(PARTIAL_MS, () => {
      anyWillDo = true;
      if (isAnswered()) finish();
    });
    later(DEADLINE_MS, finish);
    ask();
    gather();
    await finished;
  } finally {
    for (const timer of timers) clearTimeout(timer);
    stopListening();
    signal.removeEventListener("abort", finish);
  }
}

const questionKey = (question: Question): string => `${question.type} ${question.name}`;
