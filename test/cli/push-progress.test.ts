import { expect, test } from "vitest";
import type { CliContext } from "../../src/cli/context.js";
import { pushText } from "../../src/cli/push.js";
import { pushProgress } from "../../src/cli/push-progress.js";
import type { PushProgress } from "../../src/static/push-meter.js";

const MiB = 1024 * 1024;

function shell(isTTY: boolean): { context: CliContext; written: string[]; pass: (ms: number) => void } {
  const written: string[] = [];
  let time = 1_000_000;
  const stream = { isTTY, columns: 100, write: (text: string) => written.push(text) };
  const context: CliContext = {
    env: { LANG: "C.UTF-8", TERM: "xterm" },
    stdout: stream,
    stderr: stream,
    now: () => time,
    interrupted: () => new AbortController().signal,
  };
  return { context, written, pass: (ms) => (time += ms) };
}

const at = (arrived: number, more: Partial<PushProgress> = {}): PushProgress => ({
  state: "sending",
  waits: null,
  paths: { arrived, all: 10 },
  bytes: { sent: arrived * MiB, all: 10 * MiB },
  ...more,
});

test("on a terminal a bar tells of bytes, paths, the rate and the time left, and goes away", () => {
  const { context, written, pass } = shell(true);
  const { show, notice, end } = pushProgress(context, { plain: false });
  show(at(0, { state: "looking" }));
  expect(written.at(-1)).toBe("\rlooking at what is there already\u001b[K");
  for (let arrived = 1; arrived <= 5; arrived += 1) {
    pass(1_000);
    show(at(arrived));
  }
  expect(written.at(-1)).toBe(
    "\r[############            ] 5 of 10 paths, 5.0 of 10.0 MiB, 1.0 MiB/s, 5 s left\u001b[K",
  );
  pass(10);
  show(at(6));
  expect(written).toHaveLength(6);
  notice("waits for\u001b[2J somebody");
  expect(written.slice(-2)).toEqual([
    "\r\u001b[K",
    expect.stringMatching(/^nix-tether: waits for.*somebody\n$/),
  ]);
  pass(1_000);
  show(at(6, { waits: "reconnecting" }));
  expect(written.at(-1)).toBe("\rthe link was cut; connecting again\u001b[K");
  end();
  end();
  expect(written.slice(-1)).toEqual(["\r\u001b[K"]);
});

test("elsewhere, and where it is asked for, a line now and then", () => {
  for (const { isTTY, plain } of [
    { isTTY: false, plain: false },
    { isTTY: true, plain: true },
  ]) {
    const { context, written, pass } = shell(isTTY);
    const { show, end } = pushProgress(context, { plain });
    show(at(1));
    expect(written).toEqual([]);
    pass(10_000);
    show(at(6));
    pass(1_000);
    show(at(7));
    end();
    expect(written).toEqual(["nix-tether: 6 of 10 paths, 6.0 of 10.0 MiB, 512.0 KiB/s, 8 s left\n"]);
  }
});

test("what has come of it is one line", () => {
  const report = {
    label: "pi@nas:/cache",
    paths: 2,
    alreadyThere: 1,
    unsigned: 0,
    bytes: MiB,
    narBytes: 3 * MiB,
    cuts: 0,
    ms: 61_000,
  };
  expect(pushText(report)).toBe(
    "pushed 2 paths to pi@nas:/cache (3.0 MiB, sent as 1.0 MiB) in 1 min; 1 path was there already\n",
  );
  expect(pushText({ ...report, paths: 0, alreadyThere: 3 })).toBe(
    "nothing to push to pi@nas:/cache: 3 paths were there already\n",
  );
});
