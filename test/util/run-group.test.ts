import { expect, test } from "vitest";
import { runGroup } from "../../src/util/run-group.js";
import { eventually } from "../support/eventually.js";

const { env } = process;
const never = new AbortController().signal;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test("what it says is told by the line, and how it ended", async () => {
  const lines: string[] = [];
  const script = "printf 'one\\ntw' >&2; sleep 0.05; printf 'o\\nrest' >&2; echo out; exit 3";
  const result = await runGroup("sh", ["-c", script], {
    env,
    signal: never,
    onLine: (line) => lines.push(line),
  });
  expect(result).toEqual({ code: 3, stdout: "out\n", stderr: "one\ntwo\nrest" });
  expect(lines).toEqual(["one", "two"]);
});

test("there is no such program", async () => {
  expect(await runGroup("no-such-program", [], { env, signal: never })).toBeNull();
});

test("it has no terminal and no input", async () => {
  const result = await runGroup("sh", ["-c", "cat; (: </dev/tty) 2>/dev/null || echo none"], {
    env,
    signal: never,
  });
  expect(result?.stdout).toBe("none\n");
});

test.each([
  ["called off", 60_000, "over"],
  ["late", 2_000, "sh: not done within 2 s"],
])("%s: all that it has started ends before it is told", async (why, ms, message) => {
  const controller = new AbortController();
  let pid = 0;
  const running = runGroup("sh", ["-c", "sleep 60 & echo $! >&2; wait"], {
    env,
    ms,
    signal: controller.signal,
    onLine: (line) => {
      pid = Number(line);
      if (why === "called off") controller.abort(new Error("over"));
    },
  });
  await expect(running).rejects.toThrow(message);
  expect(pid).toBeGreaterThan(0);
  await eventually("its child is gone", () => !isAlive(pid));
});

test("what does not leave is killed", async () => {
  const controller = new AbortController();
  const running = runGroup("sh", ["-c", "trap '' TERM; echo ready >&2; while :; do sleep 0.1; done"], {
    env,
    signal: controller.signal,
    leaveMs: 100,
    onLine: () => controller.abort(new Error("over")),
  });
  await expect(running).rejects.toThrow("over");
});
