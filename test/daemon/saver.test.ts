import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createSaver } from "../../src/daemon/saver.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function setUp(write: () => Promise<void> = async () => undefined) {
  const at: number[] = [];
  const results: unknown[] = [];
  const begun = performance.now();
  const saver = createSaver(
    () => {
      at.push(performance.now() - begun);
      return write();
    },
    { soonMs: 1_000, everyMs: 10_000, onSaved: (error) => results.push(error) },
  );
  return { saver, at, results };
}

it("writes soon after a change, and then no more often than every so many seconds", async () => {
  const { saver, at, results } = setUp();
  await vi.advanceTimersByTimeAsync(500);
  for (let i = 0; i < 25; i += 1) {
    saver.changed();
    await vi.advanceTimersByTimeAsync(1_000);
  }
  expect(at).toEqual([1_500, 11_500, 21_500]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(at).toEqual([1_500, 11_500, 21_500, 31_500]);
  expect(results).toEqual([null, null, null, null]);
});

it("writes nothing where nothing has changed", async () => {
  const { saver, at } = setUp();
  await saver.flush();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(at).toEqual([]);
});

it("flushes at once what waits, after what is being written", async () => {
  const writes: (() => void)[] = [];
  const { saver, at } = setUp(() => new Promise((resolve) => writes.push(resolve)));
  saver.changed();
  await vi.advanceTimersByTimeAsync(1_000);
  saver.changed();
  let flushed = false;
  const flush = saver.flush().then(() => (flushed = true));
  await vi.advanceTimersByTimeAsync(0);
  expect([at.length, flushed]).toEqual([1, false]);
  writes[0]?.();
  await vi.advanceTimersByTimeAsync(0);
  expect([at.length, flushed]).toEqual([2, false]);
  writes[1]?.();
  await flush;
});

it("says each time whether it worked, and goes on when it did not", async () => {
  let broken: Error | null = new Error("read-only");
  const { saver, results } = setUp(() => (broken === null ? Promise.resolve() : Promise.reject(broken)));
  saver.changed();
  await saver.flush();
  broken = null;
  saver.changed();
  await saver.flush();
  expect(results).toEqual([new Error("read-only"), null]);
});
