import { readFileSync, symlinkSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import type { ControlRequest, QueueItem, UploadTargetStatus } from "../../src/control/messages.js";
import { daemon, shell, type Shell } from "../support/shell.js";
import { cacheStatus, statusReport } from "../support/status-report.js";
import { storePath } from "../support/store-paths.js";

const pi: UploadTargetStatus = {
  waiting: 2,
  setAside: 1,
  uploaded: 0,
  bytes: 0,
  left: 4096,
  rate: null,
  state: "resting",
  reason: null,
  now: null,
  going: null,
};
const status = (target: UploadTargetStatus) =>
  statusReport(
    { pi: cacheStatus("pi") },
    { uploads: { waiting: 2, uploaded: 0, failed: 1, skipped: 0, targets: { pi: target } } },
  );

function item(name: string, target: Partial<QueueItem["targets"][number]> = {}): QueueItem {
  const where = {
    name: "pi",
    state: "waiting" as const,
    sent: 0,
    tries: 0,
    code: null,
    reason: null,
    retryAt: null,
  };
  return {
    path: storePath(name),
    deriver: null,
    size: 2048,
    since: "2026-11-22T09:00:00.000Z",
    now: false,
    targets: [{ ...where, ...target }],
  };
}

/** A daemon whose queue is each of these in turn, and the last from then on. Resolves to what it is asked. */
async function withQueue(here: Shell, target: UploadTargetStatus, ...queues: QueueItem[][]) {
  const asked: ControlRequest[] = [];
  await daemon(here, (request) => {
    const queue = queues[Math.min(asked.length, queues.length - 1)] ?? [];
    asked.push(request);
    return { ok: true, status: status(target), queue };
  });
  return asked;
}

describe("queue", () => {
  const items = [
    item("going", { state: "copying" }),
    item("next"),
    item("tried", { tries: 3, code: "target-full", reason: "No space", retryAt: "2026-11-22T10:01:00.000Z" }),
    item("bad", { state: "set-aside", tries: 1, code: "unsigned", reason: "lacks a signature" }),
  ];

  test("list says what waits, and why", async () => {
    const here = shell();
    await withQueue(here, pi, items);
    const { code, out } = await here.run("queue", "list");
    expect(code).toBe(0);
    expect(out).toBe(`SIZE     FOR  TO  PATH
2.0 KiB  1 h  pi  ${storePath("going")}
    pi: on its way
2.0 KiB  1 h  pi  ${storePath("next")}
    pi: next in turn
2.0 KiB  1 h  pi  ${storePath("tried")}
    pi: has failed 3 times, next try in 1 min: No space
2.0 KiB  1 h  pi  ${storePath("bad")}
    pi: set aside: lacks a signature
4 paths
`);
    const json = await here.run("queue", "list", "--json");
    expect(JSON.parse(json.out)).toEqual(items);
    expect((await here.run("queue", "list", storePath("bad"))).out).toContain("1 path\n");
  });

  test("list of a machine that is away, and of nothing", async () => {
    const away = shell();
    await withQueue(away, { ...pi, state: "offline" }, [item("next")]);
    expect((await away.run("queue", "list")).out).toContain("pi: waits until it is in reach");
    const empty = shell();
    await withQueue(empty, pi, []);
    expect((await empty.run("queue", "list")).out).toBe("Nothing waits for its upload.\n");
  });

  test("retry and drop are about everything, or the paths that are named", async () => {
    const here = shell();
    const asked = await withQueue(here, pi, []);
    const many = Array.from({ length: 151 }, (_, number) => storePath(String(number)));
    await here.run("queue", "retry");
    await here.run("queue", "drop", storePath("a"));
    await here.run("queue", "drop", ...many);
    expect(asked).toEqual([
      { command: "queue-retry", paths: null },
      { command: "queue-drop", paths: [storePath("a")] },
      { command: "queue-drop", paths: many.slice(0, 150) },
      { command: "queue-drop", paths: many.slice(150) },
    ]);
    expect(await here.run("queue", "burn")).toMatchObject({ code: 2 });
  });
});

describe("enqueue", () => {
  test("takes store paths and links to them", async () => {
    const here = shell();
    const asked = await withQueue(here, pi, []);
    expect(await here.run("enqueue", storePath("a"), storePath("a"))).toEqual({
      code: 0,
      out: "queued 1 path\n",
      err: "",
    });
    expect(asked).toEqual([{ command: "enqueue", paths: [storePath("a")] }]);
    symlinkSync("/etc", path.join(here.root, "result"));
    expect(await here.run("enqueue", path.join(here.root, "result"))).toMatchObject({
      code: 2,
      err: expect.stringContaining("is not in the Nix store") as string,
    });
    expect(await here.run("enqueue")).toMatchObject({ code: 2 });
  });

  test("--wait waits for the arrival, and fails for what is set aside", async () => {
    const here = shell();
    await withQueue(here, pi, [item("a"), item("b")], [item("b")], []);
    expect(await here.run("enqueue", "--wait", storePath("a"), storePath("b"))).toEqual({
      code: 0,
      out: "2 of 2 paths uploaded\n",
      err: "",
    });
    const bad = shell();
    await withQueue(bad, pi, [item("a")], [item("a", { state: "set-aside", reason: "no signature" })]);
    expect(await bad.run("enqueue", "--wait", storePath("a"))).toEqual({
      code: 1,
      out: "0 of 1 path uploaded\n",
      err: `nix-tether: ${storePath("a")} is set aside for pi: no signature\n`,
    });
  });

  test("--wait shows a bar on a terminal", async () => {
    const here = shell({ columns: 80 });
    await withQueue(here, { ...pi, state: "copying" }, [item("b")], []);
    const { out } = await here.run("enqueue", "--wait", storePath("a"), storePath("b"));
    expect(out).toContain(`[${"#".repeat(12)}${" ".repeat(12)}] 1 of 2, pi copying`);
  });
});

test("hook-script prints where the hook is", async () => {
  const { out } = await shell().run("hook-script");
  expect(readFileSync(out.trim(), "utf8")).toContain("Nix's post-build hook");
});
