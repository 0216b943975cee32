import { expect, test } from "vitest";
import { printable } from "../../src/util/printable.js";

test.each([
  ["plain text, with “quotes” and é", "plain text, with “quotes” and é"],
  ["\u001b[31;1merror:\u001b[0m no", "error: no"],
  ["one\r\n<3>two\n", "one <3>two"],
  ["bell\u0007 and \u009b31m", "bell  and"],
  ["left\u202eright", "left right"],
])("%j becomes %j", (text, safe) => {
  expect(printable(text)).toBe(safe);
});
