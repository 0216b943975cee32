import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { beginRechecks, webRecheckTimes, type Rechecks } from "../../src/daemon/rechecks.js";
import { silentLog } from "../support/silent-log.js";

const times = { periodMs: 30_000, uploadMs: 1_000, retryMs: 5_000, roundMs: 20_000, settleMs: 1_000 };

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

interface Play {
  readonly rechecks: Rechecks;
  /** When a round began, in seconds. */
  readonly rounds: number[];
  readonly firsts: boolean[];
  doubt: boolean;
  /** What a round does. */
  answer: (signal: AbortSignal) => Promise<void>;
}

function begin(doubt: boolean, answer: Play["answer"] = async () => undefined, perRound = times): Play {
  const begun = performance.now();
  const play = { rounds: [] as number[], firsts: [] as boolean[], doubt, answer };
  const rechecks = beginRechecks({
    inDoubt: () => play.doubt,
    ask: ({ first, signal }) => {
      play.rounds.push((performance.now() - begun) / 1_000);
      play.firsts.push(first);
      return play.answer(signal);
    },
    times: perRound,
    log: silentLog,
  });
  onTestFinished(() => rechecks.end());
  return Object.assign(play, { rechecks });
}

const pass = (seconds: number): Promise<unknown> => vi.advanceTimersByTimeAsync(seconds * 1_000);

/** Whether the promise has settled. */
async function hasSettled(play: Play): Promise<boolean> {
  const no = Symbol("no");
  return (await Promise.race([play.rechecks.settled, Promise.resolve(no)])) !== no;
}

describe("when told to", () => {
  it("asks at once, and resolves when the answer has had its effect", async () => {
    const play = begin(true);
    await pass(3);
    await play.rechecks.now();
    expect(play.rounds).toEqual([0, 3]);
    play.doubt = false;
    await play.rechecks.now();
    expect(play.rounds).toEqual([0, 3]);
  });

  it("waits for a round that runs, and asks once more: what it asked about may be older", async () => {
    const answers: (() => void)[] = [];
    const play = begin(true, () => new Promise((resolve) => answers.push(resolve)));
    let done = false;
    void play.rechecks.now().then(() => (done = true));
    await pass(1);
    expect(play.rounds).toEqual([0]);
    answers[0]?.();
    await pass(1);
    expect(play.rounds).toEqual([0, 1]);
    expect(done).toBe(false);
    answers[1]?.();
    await pass(0);
    expect(done).toBe(true);
  });

  it("resolves also where the answer can not be had, or the link has ended", async () => {
    const play = begin(true, () => Promise.reject(new Error("gone")));
    await play.rechecks.now();
    play.rechecks.end();
    await play.rechecks.now();
    expect(play.rounds).toEqual([0, 0]);
  });
});

describe("at first", () => {
  it("asks nothing and is settled where nothing is in doubt, for as long as nothing is", async () => {
    const play = begin(false);
    expect(play.rechecks.settled).toBeNull();
    await pass(3_600);
    play.rechecks.uploaded();
    await pass(60);
    expect(play.rounds).toEqual([]);
  });

  it("asks at once, and is settled when that is answered", async () => {
    let answered = (): void => undefined;
    const play = begin(true, () => new Promise((resolve) => (answered = resolve)));
    expect(play.rounds).toEqual([0]);
    await pass(0.5);
    expect(await hasSettled(play)).toBe(false);
    answered();
    await pass(0);
    expect(await hasSettled(play)).toBe(true);
  });

  it("lets nobody wait for long", async () => {
    const play = begin(true, () => new Promise(() => undefined));
    await pass(0.99);
    expect(await hasSettled(play)).toBe(false);
    await pass(0.02);
    expect(await hasSettled(play)).toBe(true);
  });
});

describe("later", () => {
  it("asks again every half minute while something is in doubt", async () => {
    const play = begin(true);
    await pass(65);
    expect(play.rounds).toEqual([0, 30, 60]);
    play.doubt = false;
    await pass(600);
    expect(play.rounds).toEqual([0, 30, 60]);
    expect(play.firsts).toEqual([true, false, false]);
  });

  it("asks within half a minute of the first denial, not of the last", async () => {
    const play = begin(false);
    play.doubt = true;
    for (let i = 0; i < 35; i += 1) {
      play.rechecks.denied();
      await pass(1);
    }
    expect(play.rounds).toEqual([30]);
  });

  it("asks a second after an upload, once for a burst of them", async () => {
    const play = begin(true);
    await pass(10);
    for (let i = 0; i < 5; i += 1) {
      play.rechecks.uploaded();
      await pass(0.1);
    }
    await pass(25);
    expect(play.rounds).toEqual([0, 11]);
    await pass(10);
    expect(play.rounds).toEqual([0, 11, 41]);
  });

  it("asks again when something was uploaded in the middle of a round, and never twice at once", async () => {
    let answered = (): void => undefined;
    const play = begin(true, () => new Promise((resolve) => (answered = resolve)));
    play.rechecks.uploaded();
    await pass(5);
    expect(play.rounds).toEqual([0]);
    answered();
    await pass(5);
    expect(play.rounds).toEqual([0, 5]);
  });

  it("tries again soon after a round that failed, which does not count as the first", async () => {
    const play = begin(true, () => Promise.reject(new Error("busy")));
    await pass(6);
    play.answer = async () => undefined;
    await pass(34);
    expect(play.rounds).toEqual([0, 5, 10, 40]);
    expect(play.firsts).toEqual([true, true, true, false]);
  });

  it("leaves a web server alone for a minute after one", async () => {
    const play = begin(true, () => Promise.reject(new Error("cut")), webRecheckTimes);
    await pass(130);
    expect(play.rounds).toEqual([0, 60, 120]);
  });
});

it("calls off what is under way when the link is not used any more, and asks nothing after that", async () => {
  const signals: AbortSignal[] = [];
  const play = begin(
    true,
    (signal) =>
      new Promise((_, reject) => {
        signals.push(signal);
        signal.addEventListener("abort", () => reject(signal.reason as Error));
      }),
  );
  play.rechecks.end();
  expect(signals[0]?.aborted).toBe(true);
  play.rechecks.denied();
  play.rechecks.uploaded();
  await pass(600);
  expect(play.rounds).toEqual([0]);
});
