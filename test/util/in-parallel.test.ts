import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { inParallel } from "../../src/util/in-parallel.js";

test("so many at once and no more, each once, in their order", async () => {
  let running = 0;
  let most = 0;
  const begun: number[] = [];
  await inParallel([1, 2, 3, 4, 5], 2, async (item) => {
    begun.push(item);
    most = Math.max(most, (running += 1));
    await sleep(item % 2);
    running -= 1;
  });
  expect(begun).toEqual([1, 2, 3, 4, 5]);
  expect(most).toBe(2);
});

test("after a failure nothing new begins, and what had begun has ended", async () => {
  const ended: number[] = [];
  const work = inParallel([1, 2, 3, 4], 2, async (item) => {
    if (item === 1) throw new Error("one");
    await sleep(5);
    ended.push(item);
  });
  await expect(work).rejects.toThrow("one");
  expect(ended).toEqual([2]);
});
