import { expect, test } from "vitest";
import { bytes, counted, duration, wrapped } from "../../src/cli/words.js";

test.each([
  [-5, "0 s"],
  [999, "0 s"],
  [1000, "1 s"],
  [59_999, "59 s"],
  [60_000, "1 min"],
  [7_199_999, "1 h"],
  [3 * 86_400_000, "3 d"],
])("%d ms is %s", (ms, text) => expect(duration(ms)).toBe(text));

test.each([
  [0, "0 B"],
  [1023, "1023 B"],
  [1024, "1.0 KiB"],
  [36_175_872, "34.5 MiB"],
  [5 * 1024 ** 5, "5120.0 TiB"],
])("%d bytes are %s", (count, text) => expect(bytes(count)).toBe(text));

test("counted things", () => {
  expect([0, 1, 2].map((count) => counted(count, "path"))).toEqual(["0 paths", "1 path", "2 paths"]);
});

test("sentences break between words, and a long word stays whole", () => {
  expect(wrapped("! ", "one two three four", 12)).toEqual(["! one two", "  three four"]);
  expect(wrapped("", "a /very/long/path/indeed b", 10)).toEqual(["a", "/very/long/path/indeed", "b"]);
  expect(wrapped("", "say `a b c d` now", 6)).toEqual(["say", "`a b c d`", "now"]);
  expect(wrapped("", "a lone ` is a word", 8)).toEqual(["a lone `", "is a", "word"]);
  expect(wrapped("  ", "as long as it is", Infinity)).toEqual(["  as long as it is"]);
});
