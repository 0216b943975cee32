import { beforeEach, expect, test } from "vitest";
import { createSleepGuard } from "../../../src/sources/netmon/sleep-guard.js";
import { createSleepWatch, sleepOverdue, type SleepWatch } from "../../../src/sources/netmon/sleep-watch.js";
import { type FakeClock, createFakeClock } from "../../support/fake-clock.js";

const day = 86_400_000;
let clock: FakeClock;
let told: string[];
let held: boolean;
let watch: SleepWatch;

beforeEach(() => {
  clock = createFakeClock();
  told = [];
  held = false;
  const guard = createSleepGuard(clock, () => {
    held = true;
    return { isHeld: () => held, release: async () => void (held = false) };
  });
  watch = createSleepWatch(clock, guard, (event) => {
    told.push(event.type === "wake" ? `wake ${event.cause}` : "sleep");
    if (event.type === "sleep") event.done();
  });
  watch.setListening(true);
});

test("a lid closed for a day", () => {
  watch.toldSleep();
  expect(held).toBe(false);
  clock.suspend(day);
  watch.toldWake("logind");
  clock.run(60_000);
  expect(told).toEqual(["sleep", "wake logind"]);
  expect(held).toBe(true);
});

test("a lid closed for a day where nobody tells: the clock does, once", () => {
  watch.setListening(false);
  clock.suspend(day);
  clock.run(5_000);
  expect(told).toEqual(["wake clock"]);
  clock.run(60_000);
  expect(told).toEqual(["wake clock"]);
});

test("the clock tells first: logind's word is no second waking", () => {
  watch.toldSleep();
  clock.suspend(day);
  clock.run(5_000);
  watch.toldWake("logind");
  expect(told).toEqual(["sleep", "wake clock"]);
});

test("a sleep that is called off, and the next right after it, have each their end", () => {
  watch.toldSleep();
  clock.run(100);
  watch.toldWake("logind");
  clock.run(1_000);
  watch.toldSleep();
  clock.run(100);
  watch.toldWake("logind");
  expect(told).toEqual(["sleep", "wake logind", "sleep", "wake logind"]);
  expect(held).toBe(true);
});

test("a sleep that neither comes nor ends is over after a while", () => {
  watch.toldSleep();
  clock.run(sleepOverdue - 1);
  expect(told).toEqual(["sleep"]);
  clock.run(1);
  expect(told).toEqual(["sleep", "wake overdue"]);
  expect(held).toBe(true);
});

test("a sleep whose end logind can no longer tell is over", () => {
  watch.toldSleep();
  watch.setListening(false);
  expect(told).toEqual(["sleep", "wake overdue"]);
  watch.setListening(true);
  clock.run(60_000);
  expect(told).toEqual(["sleep", "wake overdue"]);
});

test("nothing is told after close", async () => {
  watch.toldSleep();
  await watch.close();
  clock.suspend(day);
  clock.run(60_000);
  expect(told).toEqual(["sleep"]);
  expect(held).toBe(false);
});
