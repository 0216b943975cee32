import { describe, expect, test } from "vitest";
import { createThroughput, sparkline, type Throughput } from "../../src/cli/throughput.js";
import { cacheStatus, statusReport, uploadTarget } from "../support/status-report.js";

/** Samples once a second: what has come down and gone up by then, in bytes. */
function sampled(totals: readonly (readonly [down: number, up: number])[]): Throughput {
  const throughput = createThroughput();
  for (const [second, [down, up]] of totals.entries()) {
    const targets = { pi: uploadTarget({ bytes: up }), nas: uploadTarget({ bytes: 1_000_000 * second }) };
    const report = statusReport(
      { pi: cacheStatus("pi", { narBytes: down }), nas: cacheStatus("nas", { narBytes: 0 }) },
      { uploads: { waiting: 0, uploaded: 0, failed: 0, skipped: 0, targets } },
    );
    throughput.sample(second * 1_000, report, ["pi"]);
  }
  return throughput;
}

test("a character for each number, and what is little still shows", () => {
  expect(sparkline([null, 0, 1, 50, 100])).toBe(" ▁▂▅█");
  expect(sparkline([0, 0])).toBe("▁▁");
  expect(sparkline([])).toBe("");
});

describe("the graph", () => {
  const wide = { width: 80, blocks: true };

  test("needs two samples", () => {
    expect(sampled([]).lines(wide)).toEqual([]);
    expect(sampled([[5, 5]]).lines(wide)).toEqual([]);
  });

  test("grows from the right, a column for each second", () => {
    const lines = sampled([
      [500, 0],
      [500, 0],
      [1_524, 0],
      [3_572, 1_024],
    ]).lines(wide);
    expect(lines).toEqual([
      "",
      `down ${" ".repeat(57)}▁▅█    1.0 KiB/s`,
      `up   ${" ".repeat(57)}▁▁█      341 B/s`,
    ]);
  });

  test("is of the last minute, whatever the width", () => {
    const totals = Array.from(
      { length: 200 },
      (_, second) => [Math.max(0, second - 170) * 1_024, 0] as const,
    );
    for (const width of [80, 60, 40, 32]) {
      const [, down = ""] = sampled(totals).lines({ width, blocks: true });
      expect(down.length).toBeLessThanOrEqual(width);
      const graph = down.slice(5, -13);
      expect(graph).toHaveLength(Math.min(60, width - 20));
      // It began half a minute ago.
      expect(graph.slice(0, Math.floor(graph.length * 0.45))).toMatch(/^▁+$/);
      expect(graph.slice(Math.ceil(graph.length * 0.55))).toMatch(/^█+$/);
      expect(down).toMatch(/ 1\.0 KiB\/s$/);
    }
  });

  test("is left out where there is no room for it, or no such characters", () => {
    const totals = [
      [0, 0],
      [2_048, 512],
    ] as const;
    const numbers = ["", "down 2.0 KiB/s", "up   512 B/s"];
    expect(sampled(totals).lines({ width: 29, blocks: true })).toEqual(numbers);
    expect(sampled(totals).lines({ width: 80, blocks: false })).toEqual(numbers);
  });

  test("a daemon that was started anew is no negative speed", () => {
    const [, down] = sampled([
      [1_000, 0],
      [0, 0],
    ]).lines(wide);
    expect(down).toMatch(/▁ +0 B\/s$/);
  });
});
