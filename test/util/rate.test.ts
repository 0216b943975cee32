import { expect, test } from "vitest";
import { createRate } from "../../src/util/rate.js";

test("is known from the second sample on, and is that of the last seconds", () => {
  const rate = createRate(5_000);
  expect(rate.perSecond()).toBeNull();
  rate.sample(0, 500);
  expect(rate.perSecond()).toBeNull();
  rate.sample(1_000, 1_500);
  expect(rate.perSecond()).toBe(1_000);
  for (let second = 2; second <= 10; second++) rate.sample(second * 1_000, 1_500 + 100 * (second - 1));
  expect(rate.perSecond()).toBe(100);
  for (let second = 11; second <= 15; second++) rate.sample(second * 1_000, 2_400);
  expect(rate.perSecond()).toBe(0);
});

test("after a pause longer than the window spans the pause", () => {
  const rate = createRate(5_000);
  rate.sample(0, 0);
  rate.sample(60_000, 600_000);
  expect(rate.perSecond()).toBe(10_000);
});

test("a total that begins anew is no negative speed", () => {
  const rate = createRate();
  rate.sample(0, 1_000);
  rate.sample(1_000, 0);
  expect(rate.perSecond()).toBe(0);
});
