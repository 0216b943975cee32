import { expect, test } from "vitest";
import { clockGain, createWakeWatch } from "../../../src/sources/netmon/wake.js";
import { createFakeClock } from "../../support/fake-clock.js";

test.each([
  { what: "both clocks run on", wall: 5_000, monotonic: 5_000, gain: 0 },
  { what: "a suspend of an hour", wall: 3_605_000, monotonic: 5_000, gain: 3_600_000 },
  { what: "the process was stopped", wall: 60_000, monotonic: 60_000, gain: 0 },
  { what: "the clock was set back", wall: -55_000, monotonic: 5_000, gain: -60_000 },
])("$what", ({ wall, monotonic, gain }) => {
  const from = { wall: 1_700_000_000_000, monotonic: 12_345 };
  expect(clockGain(from, { wall: from.wall + wall, monotonic: from.monotonic + monotonic })).toBe(gain);
});

function setUp() {
  const clock = createFakeClock();
  const wake = createWakeWatch(clock.read());
  return {
    clock,
    tick: () => wake.tick(clock.read()),
    told: () => wake.told(clock.read()),
  };
}

test("a sleep is told once", () => {
  const { clock, tick } = setUp();
  clock.run(5_000);
  expect(tick()).toBe(false);
  clock.suspend(60_000);
  clock.run(5_000);
  expect(tick()).toBe(true);
  clock.run(5_000);
  expect(tick()).toBe(false);
});

test("neither a small correction nor a clock set back is a sleep", () => {
  const { clock, tick } = setUp();
  clock.suspend(10_000);
  expect(tick()).toBe(false);
  clock.suspend(-3_600_000);
  expect(tick()).toBe(false);
});

test("logind and the clock tell of the same waking: the first counts, whichever it is", () => {
  const first = setUp();
  first.clock.suspend(60_000);
  expect(first.told()).toBe(true);
  first.clock.run(4_000);
  expect(first.tick()).toBe(false);

  const second = setUp();
  second.clock.suspend(60_000);
  expect(second.tick()).toBe(true);
  second.clock.run(4_000);
  expect(second.told()).toBe(false);
});

test("the next sleep is told again", () => {
  const { clock, tick, told } = setUp();
  clock.suspend(60_000);
  expect(told()).toBe(true);
  clock.run(6_000);
  clock.suspend(60_000);
  expect(tick()).toBe(true);
});
