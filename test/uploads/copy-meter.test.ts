import { expect, onTestFinished, test } from "vitest";
import { bytesLeft, createCopyMeter, type CopyMeter } from "../../src/uploads/copy-meter.js";

function metered(sizes: Record<string, number>): { meter: CopyMeter; send: (bytes: number) => void } {
  let wire = 5_000;
  const meter = createCopyMeter(new Map(Object.entries(sizes)), () => wire);
  onTestFinished(() => meter.end());
  return { meter, send: (bytes) => void (wire += bytes) };
}

test("counts within a path, and a path as sent when the next begins", () => {
  const { meter, send } = metered({ a: 100, b: 50, c: 10 });
  expect(meter.going()).toEqual({ paths: 3, size: 160, sent: 0 });
  send(30); // the conversation before the first path
  expect(meter.going().sent).toBe(0);
  meter.begun("a");
  send(40);
  expect(meter.going().sent).toBe(40);
  expect(["a", "b", "d"].map((path) => meter.sentOf(path))).toEqual([40, 0, null]);
  meter.begun("b");
  expect(meter.going().sent).toBe(100);
  send(20);
  expect(meter.going().sent).toBe(120);
  expect(["a", "b"].map((path) => meter.sentOf(path))).toEqual([100, 20]);
});

test("what somebody else sends through the socket is no more than the path that is on its way", () => {
  const { meter, send } = metered({ a: 100, b: 50 });
  meter.begun("a");
  send(100_000);
  expect(meter.going().sent).toBe(100);
  meter.begun("b");
  expect(meter.going().sent).toBe(100);
  // A path that is no part of it, as when it was measured for somebody else's.
  meter.begun("x");
  send(1_000);
  expect(meter.going().sent).toBe(150);
});

test("a socket that was opened anew has carried nothing yet", () => {
  const { meter, send } = metered({ a: 100 });
  meter.begun("a");
  send(-5_000);
  expect(meter.going().sent).toBe(0);
});

test("what is left is the rest of the copy under way, and what waits besides", () => {
  expect(bytesLeft([10, null, 5], null)).toBe(15);
  expect(bytesLeft([10], { paths: 2, size: 100, sent: 30 })).toBe(80);
});
