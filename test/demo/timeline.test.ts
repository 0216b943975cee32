// The demo's lines: times since the start, and colours only for eyes.

import { expect, test } from "vitest";
import { createTimeline, size, spell } from "../../src/demo/timeline.js";

function lines(isTTY: boolean, env: NodeJS.ProcessEnv): string {
  let text = "";
  let now = 1_000;
  const out = { isTTY, write: (more: string) => (text += more) };
  const timeline = createTimeline(out, env, () => now);
  timeline.heading("Title");
  now += 12_345;
  timeline.done("fetched");
  timeline.failed("lost");
  timeline.note("by the way");
  return text;
}

const plain = "Title\n 12.3 s  ✓ fetched\n 12.3 s  ✗ lost\n 12.3 s  · by the way\n";

test("plain lines in a pipe, and where the user wants no colours", () => {
  expect(lines(false, {})).toBe(plain);
  expect(lines(true, { NO_COLOR: "1" })).toBe(plain);
  expect(lines(true, { TERM: "dumb" })).toBe(plain);
});

test("colours on a terminal", () => {
  expect(lines(true, { TERM: "xterm" })).toContain("\u001B[32m✓\u001B[39m fetched");
});

test("durations and sizes in the unit that fits", () => {
  expect([spell(0.2), spell(17.4), spell(1500)]).toEqual(["1 ms", "17 ms", "1.5 s"]);
  expect([size(512), size(3 << 20)]).toEqual(["0.5 KiB", "3.0 MiB"]);
});
