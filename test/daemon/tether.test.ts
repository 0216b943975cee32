import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createTether, type TetherDeps } from "../../src/daemon/tether.js";
import type { Desired } from "../../src/decision/desired.js";
import type { CacheEvent } from "../../src/sources/event.js";
import { silentLog } from "../support/silent-log.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const resting = (wakeAt: number): Desired => ({
  attempt: null,
  ways: [],
  link: null,
  listed: false,
  probe: false,
  awaited: true,
  wakeAt,
});

/** A tether that only ever rests: what it would connect with is not there. */
function restingTether(now: () => number) {
  const posted: CacheEvent[] = [];
  const deps = { name: "pi", post: (fact: CacheEvent) => posted.push(fact), now, log: silentLog };
  return { posted, tether: createTether(deps as unknown as TetherDeps) };
}

it("looks again when the rest is over, whatever is done to the clock meanwhile", async () => {
  let now = 1_000_000;
  const { posted, tether } = restingTether(() => now);
  await tether.follow(resting(now + 30_000));
  now -= 3_600_000;
  await tether.follow(resting(1_030_000));
  await vi.advanceTimersByTimeAsync(29_999);
  expect(posted).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  expect(posted).toEqual([{ type: "due" }]);
  await tether.close();
});

it("does not rest for hours where the clock was set back before the rest began", async () => {
  const { posted, tether } = restingTether(() => 1_000_000);
  await tether.follow(resting(1_000_000 + 3_600_000));
  await vi.advanceTimersByTimeAsync(600_000);
  expect(posted).toEqual([{ type: "due" }]);
  await tether.close();
});

it("tells the gateway that nothing is worth waiting for, where the machine is not looked for", async () => {
  const setUpstream = vi.fn();
  const deps = { name: "pi", gateway: { setUpstream }, now: () => 0, log: silentLog };
  const tether = createTether(deps as unknown as TetherDeps);
  await tether.follow({ ...resting(10), wakeAt: null });
  expect(setUpstream).not.toHaveBeenCalled();
  await tether.follow({ ...resting(10), wakeAt: null, awaited: false });
  expect(setUpstream).toHaveBeenCalledWith("pi", null, { mayReturn: false });
  await tether.close();
});
