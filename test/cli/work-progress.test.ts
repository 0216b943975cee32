import { expect, test } from "vitest";
import { createWorkProgress, type WorkProgress } from "../../src/cli/work-progress.js";

function progress(isTTY: boolean): { work: WorkProgress; at(ms: number): void; said(): string } {
  let now = 0;
  let text = "";
  const stderr = { write: (more: string) => (text += more), isTTY };
  const stdout = { write: () => true };
  const interrupted = (): AbortSignal => new AbortController().signal;
  const work = createWorkProgress({ env: {}, stdout, stderr, now: () => now, interrupted });
  return { work, at: (ms) => void (now = ms), said: () => text };
}

test("a terminal has a line that is drawn anew, not too often, and that goes in the end", () => {
  const { work, at, said } = progress(true);
  work.show({ doing: "reading", done: 1, all: 9 });
  work.show({ doing: "reading", done: 2, all: 9 });
  at(100);
  work.show({ doing: "checking", done: 1024, all: 2048 });
  work.end();
  work.end();
  expect(said()).toBe("\rreading: 1 of 9 narinfos\u001b[K\rchecking NARs: 1.0 of 2.0 KiB\u001b[K\r\u001b[K");
});

test("elsewhere it is said every ten seconds", () => {
  const { work, at, said } = progress(false);
  for (let ms = 0; ms <= 20_000; ms += 1_000) {
    at(ms);
    work.show({ doing: "removing", done: ms, all: 30_000 });
  }
  work.end();
  expect(said()).toBe(
    "nix-tether: removing: 10000 of 30000 files\nnix-tether: removing: 20000 of 30000 files\n",
  );
});
