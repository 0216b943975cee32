import { expect, test } from "vitest";
import { parseDuration } from "../../src/config/duration.js";

test.each([
  ["90s", 90_000],
  ["1.5min", 90_000],
  ["6h", 21_600_000],
  ["14d", 1_209_600_000],
  ["2w", 1_209_600_000],
])("%s is a span of time", (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test.each(["", "6", "h", "0s", "-1h", "6 h", "6hours", "1e3s", "9999999s"])("%j is none", (text) => {
  expect(parseDuration(text)).toBeNull();
});
