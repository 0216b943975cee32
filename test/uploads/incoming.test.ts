// The post-build hook's files: what is taken from them, and which are not whole.

import { expect, test } from "vitest";
import { parseIncoming } from "../../src/uploads/incoming.js";
import { incomingText, storePath } from "../support/store-paths.js";

const out = storePath("hello-1.0");
const dev = storePath("hello-1.0-dev");
const drv = storePath("hello-1.0.drv");

test("outputs and their derivation", () => {
  expect(parseIncoming(incomingText([out, dev], drv))).toEqual({ drv, outputs: [out, dev] });
  expect(parseIncoming(incomingText([out]))).toEqual({ drv: null, outputs: [out] });
});

test("a file cut off anywhere is not whole", () => {
  const text = incomingText([out, dev], drv);
  for (let length = 0; length < text.length; length += 1) {
    expect(parseIncoming(text.slice(0, length)), `${length} bytes`).toBeNull();
  }
});

test.each([
  ["no outputs", incomingText([])],
  ["a path outside of the store", incomingText(["/etc/passwd"])],
  ["a path below a store path", incomingText([`${out}/bin`])],
  ["a derivation as an output", incomingText([drv])],
  ["two paths in a line", incomingText([`${out} ${dev}`])],
  ["a derivation that is none", incomingText([out], "/etc/passwd")],
  ["a word more", incomingText([out], `${drv} x`)],
  ["an unknown line", incomingText([out]).replace("end", "also\nend")],
  ["another version", incomingText([out]).replace("incoming 1", "incoming 2")],
  ["something before", `x\n${incomingText([out])}`],
  ["two in one", incomingText([out]).repeat(2)],
  ["zeros", `${"\0".repeat(200)}\nend\n`],
])("%s is refused", (_, text) => {
  expect(() => parseIncoming(text)).toThrow();
});
