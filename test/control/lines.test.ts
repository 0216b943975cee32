import { expect, test } from "vitest";
import { createLineSplitter, type Line } from "../../src/control/lines.js";

/** Everything that comes out when `text` goes in cut into pieces of `size` bytes. */
function split(text: string, size: number, maxBytes = 10): Line[] {
  const splitter = createLineSplitter(maxBytes);
  const bytes = Buffer.from(text);
  const lines: Line[] = [];
  for (let at = 0; at < bytes.length; at += size) lines.push(...splitter.push(bytes.subarray(at, at + size)));
  return [...lines, ...splitter.end()];
}

test.each([1, 2, 3, 7, 1000])("lines come out whole from pieces of %d bytes", (size) => {
  expect(split("one\n\nzwö €\nend", size)).toEqual([
    { text: "one" },
    { text: "" },
    { text: "zwö €" },
    { text: "end" },
  ]);
});

test.each([1, 4, 1000])(
  "a line that is too long is told of, and the next one is whole (pieces of %d)",
  (size) => {
    expect(split(`${"x".repeat(11)}\nnext\n${"y".repeat(10)}\n${"z".repeat(99)}`, size)).toEqual([
      { tooLong: true },
      { text: "next" },
      { text: "y".repeat(10) },
      { tooLong: true },
    ]);
  },
);
