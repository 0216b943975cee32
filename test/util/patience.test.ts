import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { watchPatiently } from "../../src/util/patience.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** When the deadline came, with signs of life at these times. */
async function lateAfter(signs: readonly number[]): Promise<number | null> {
  const begun = Date.now();
  let late: number | null = null;
  const lastSign = (): number => begun + (signs.filter((sign) => sign <= Date.now() - begun).at(-1) ?? -1e9);
  const stop = watchPatiently(
    { ms: 1_500, quietMs: 500, mostMs: 6_000 },
    { now: Date.now, lastSign },
    (ms) => {
      late = ms;
    },
  );
  await vi.advanceTimersByTimeAsync(10_000);
  stop();
  return late;
}

const until = (end: number): number[] => Array.from({ length: end / 100 + 1 }, (_, i) => i * 100);

test.each([
  ["none", [], 1_500],
  ["one that was long ago", [900], 1_500],
  ["one a moment ago", [1_400], 1_900],
  ["many, until they end", until(3_000), 3_500],
  ["many, with a pause that is too long", [...until(2_000), 2_700], 2_500],
  ["many without end", until(9_000), 6_000],
])("signs of life: %s", async (_what, signs, ms) => {
  expect(await lateAfter(signs)).toBe(ms);
});

test("nothing after it was stopped", async () => {
  const onLate = vi.fn();
  watchPatiently({ ms: 10, quietMs: 5, mostMs: 20 }, { now: Date.now, lastSign: Date.now }, onLate)();
  await vi.advanceTimersByTimeAsync(100);
  expect(onLate).not.toHaveBeenCalled();
});
