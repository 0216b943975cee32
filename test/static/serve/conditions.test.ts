import { expect, test } from "vitest";
import { isSame, isUnchanged, validatorsOf } from "../../../src/static/serve/conditions.js";

const now = Date.UTC(2026, 10, 22, 8, 0, 0) + 345.6;
const known = validatorsOf(100, now);

test("another size or time is another file", () => {
  expect(validatorsOf(100, now)).toEqual(known);
  expect(validatorsOf(101, now).etag).not.toBe(known.etag);
  expect(validatorsOf(100, now + 1).etag).not.toBe(known.etag);
  expect(known.modified).toBe("Sun, 22 Nov 2026 08:00:00 GMT");
});

test.each([
  [{}, false],
  [{ "if-none-match": known.etag }, true],
  [{ "if-none-match": `"x", W/${known.etag}` }, true],
  [{ "if-none-match": "*" }, true],
  [{ "if-none-match": '"x"' }, false],
  [{ "if-none-match": '"x"', "if-modified-since": known.modified }, false],
  [{ "if-modified-since": known.modified }, true],
  [{ "if-modified-since": "Sun, 22 Nov 2026 07:59:59 GMT" }, false],
  [{ "if-modified-since": "never" }, false],
])("with %j", (headers, unchanged) => {
  expect(isUnchanged(headers, known)).toBe(unchanged);
});

test("a part is sent of what the client has a part of", () => {
  const same = (condition: string): boolean => isSame({ "if-range": condition }, known);
  expect([known.etag, known.modified].map(same)).toEqual([true, true]);
  expect(['"x"', `W/${known.etag}`, "Sun, 22 Nov 2026 08:00:01 GMT"].map(same)).toEqual([
    false,
    false,
    false,
  ]);
  expect(isSame({}, known)).toBe(true);
});
