import { expect, test } from "vitest";
import { parseSize } from "../../src/config/size.js";

test.each([
  ["0", 0],
  ["1000", 1000],
  ["1K", 1024],
  ["500M", 500 * 1024 ** 2],
  ["2G", 2 * 1024 ** 3],
  ["1.5g", 1.5 * 1024 ** 3],
  ["1T", 1024 ** 4],
  ["", null],
  ["G", null],
  ["-1", null],
  ["2 G", null],
  ["2GB", null],
  ["1e9", null],
  ["999999999999999T", null],
])("%j is %j bytes", (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});
