// When the daemon gives memory back, and that V8 does return it.

import { getHeapSpaceStatistics } from "node:v8";
import { expect, test } from "vitest";
import { createCollector, createIdleMemory, workDone } from "../../src/daemon/idle-memory.js";
import { cacheStatus, statusReport } from "../support/status-report.js";

test("memory is given back once after the start and after each piece of work, when nothing goes on any more", () => {
  let work = 0;
  let collections = 0;
  const beat = createIdleMemory({ work: () => work, collect: async () => collections++ });
  const after = (done: number): number => {
    work += done;
    beat();
    return collections;
  };
  expect([0, 0, 0, 0].map(after)).toEqual([0, 1, 1, 1]);
  expect([7, 7, 0, 0, 0].map(after)).toEqual([1, 1, 2, 2, 2]);
});

test("requests, transfers and lost links are work, and being asked for the status is none", () => {
  const quiet = statusReport({ pi: cacheStatus("pi") });
  expect(workDone(statusReport({ pi: cacheStatus("pi") }))).toBe(workDone(quiet));
  for (const change of [{ lookups: 1 }, { narBytes: 1 }, { losses: 1 }]) {
    const { lookups, narBytes, losses } = cacheStatus("pi");
    const [[key, more] = ["", 0]] = Object.entries(change);
    const before = { lookups, narBytes, losses }[key] ?? NaN;
    const report = statusReport({ pi: cacheStatus("pi", { [key]: before + more }) });
    expect(workDone(report), key).toBe(workDone(quiet) + 1);
  }
});

test("V8 returns what a burst has made it take, as often as it is asked", async () => {
  const collect = createCollector();
  for (let round = 0; round < 2; round += 1) {
    burst();
    const taken = youngBytes();
    expect(taken).toBeGreaterThan(8e6);
    await collect();
    expect(youngBytes()).toBeLessThan(taken / 2);
  }
});

/** Objects that live long enough for V8 to make more room for young ones. */
function burst(): void {
  let kept: unknown[] = [];
  for (let at = 0; at < 1_000_000; at += 1) {
    if (kept.length > 20_000) kept = [];
    kept.push({ at, list: [at] });
  }
}

function youngBytes(): number {
  const space = getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space");
  return space?.physical_space_size ?? NaN;
}
