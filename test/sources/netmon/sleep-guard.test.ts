import { beforeEach, expect, test } from "vitest";
import { type SleepGuard, createSleepGuard, leaveWithin } from "../../../src/sources/netmon/sleep-guard.js";
import { type FakeClock, createFakeClock } from "../../support/fake-clock.js";

let clock: FakeClock;
let guard: SleepGuard;
/** Each lock taken, in order: whether it is held. */
let locks: boolean[];

beforeEach(() => {
  clock = createFakeClock();
  locks = [];
  guard = createSleepGuard(clock, () => {
    const mine = locks.push(true) - 1;
    return {
      isHeld: () => locks[mine] === true,
      release: async () => {
        locks[mine] = false;
      },
    };
  });
});

test("a lock is held exactly while logind can be heard", () => {
  expect(locks).toEqual([]);
  guard.setListening(true);
  guard.setListening(true);
  expect(locks).toEqual([true]);
  guard.setListening(false);
  expect(locks).toEqual([false]);
});

test("the answer lets the machine sleep, and waking takes the lock again", () => {
  guard.setListening(true);
  const done = guard.prepare();
  expect(locks).toEqual([true]);
  done();
  done();
  expect(locks).toEqual([false]);
  guard.woke();
  expect(locks).toEqual([false, true]);
});

test("without an answer the machine sleeps after four seconds", () => {
  guard.setListening(true);
  guard.prepare();
  clock.run(leaveWithin - 1);
  expect(locks).toEqual([true]);
  clock.run(1);
  expect(locks).toEqual([false]);
});

test("an answer that comes after waking, or in the next sleep, lets nothing go", () => {
  guard.setListening(true);
  const late = guard.prepare();
  guard.woke();
  late();
  expect(locks).toEqual([true]);
  const next = guard.prepare();
  late();
  expect(locks).toEqual([true]);
  clock.run(leaveWithin - 1);
  next();
  expect(locks).toEqual([false]);
});

test("a deadline does not outlive its sleep", () => {
  guard.setListening(true);
  guard.prepare();
  guard.woke();
  clock.run(60_000);
  expect(locks).toEqual([true]);
});

test("a lock that failed is taken again after the next sleep", () => {
  guard.setListening(true);
  locks[0] = false;
  guard.prepare()();
  guard.woke();
  expect(locks).toEqual([false, true]);
});

test("closing lets go", async () => {
  guard.setListening(true);
  await guard.close();
  guard.woke();
  expect(locks).toEqual([false]);
});
