import { describe, expect, it } from "vitest";
import { median, noise, spread, threeDigits } from "../../bench/statistics.js";

describe("statistics of a few measurements", () => {
  it("takes the middle one, or the mean of the two in the middle", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([7])).toBe(7);
    expect(median([])).toBeNaN();
  });

  it("tells the smallest and the largest", () => {
    expect(spread([3, 1, 2])).toEqual([1, 3]);
  });

  it("takes less for noise the more measurements there are, and nothing where all agree", () => {
    expect(noise([5, 5, 5])).toBe(0);
    const few = noise([1, 2, 3, 4, 5]);
    expect(few).toBeGreaterThan(1);
    expect(noise([1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 2, 3, 4, 5])).toBeCloseTo(few / 2);
  });

  it.each([
    [1234.5, "1235"],
    [123.45, "123"],
    [12.345, "12.3"],
    [1.2345, "1.23"],
    [0.012345, "0.01"],
    [-10.26, "-10.3"],
    [NaN, "–"],
  ])("writes %d as %s", (value, text) => {
    expect(threeDigits(value)).toBe(text);
  });
});
