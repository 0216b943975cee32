import { describe, expect, it } from "vitest";
import { mixedClosure, smallClosure, type Planned } from "../../bench/world/closures.js";
import { median } from "../../bench/statistics.js";

/** How many are reached from the first, and by how long a chain. */
function reach(closure: readonly Planned[]): { readonly count: number; readonly depth: number } {
  const depths = new Map([[0, 1]]);
  for (const [at, { references }] of closure.entries()) {
    const depth = depths.get(at) ?? NaN;
    for (const other of references) depths.set(other, Math.max(depths.get(other) ?? 0, depth + 1));
  }
  return { count: depths.size, depth: Math.max(...depths.values()) };
}

describe("closures that are fetched", () => {
  it("are reached from their first path", () => {
    expect(reach(smallClosure("x", 2_000))).toEqual({ count: 2_000, depth: 8 });
    const { count, depth } = reach(mixedClosure("x", 600));
    expect(count).toBe(600);
    expect(depth).toBeGreaterThan(25);
  });

  it("refer only to what comes behind, which is imported first", () => {
    for (const [at, { references }] of mixedClosure("x", 600).entries()) {
      expect(references.every((other) => other > at && other < 600)).toBe(true);
    }
  });

  it("have sizes with a long tail, the same ones for the same name", () => {
    const sizes = mixedClosure("mixed", 600).map(({ bytes }) => bytes);
    expect(sizes).toEqual(mixedClosure("mixed", 600).map(({ bytes }) => bytes));
    const mean = sizes.reduce((sum, bytes) => sum + bytes, 0) / sizes.length;
    expect(median(sizes)).toBeGreaterThan(15e3);
    expect(median(sizes)).toBeLessThan(40e3);
    expect(mean / median(sizes)).toBeGreaterThan(5);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(100 * 2 ** 20);
  });
});
