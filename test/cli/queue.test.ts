import { readFileSync, symlinkSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import type { ControlRequest, QueueItem, UploadTargetStatus } from "../../src/control/messages.js";
import { daemon, shell, type Shell } from "../support/shell.js";
import { cacheStatus, statusReport, uploadTarget } from "../support/status-report.js";
import { storePath } from "../support/store-paths.js";

const pi = uploadTarget({ waiting: 2, setAside: 1, left: 4096 });
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
    item("going", { state: "copying", sent: 512 }),
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
    pi: on its way, 0.5 of 2.0 KiB
2.0 KiB  1 h  pi  ${storePath("next")}
    pi: next in turn
2.0 KiB  1 h  pi  ${storePath("tried")}
    pi: has failed 3 times, next try in 1 min: No space
2.0 KiB  1 h  pi  ${storePath("bad")}
    pi: set aside: lacks a signature
4 paths, 8.0 KiB
`);
    const json = await here.run("queue", "list", "--json");
    expect(JSON.parse(json.out)).toEqual(items);
    expect((await here.run("queue", "list", storePath("bad"))).out).toContain("1 path, 2.0 KiB\n");
  });

  test("list says once why uploads are held back, and what is sent all the same", async () => {
    const here = shell();
    const reason = "on a metered connection; `uploads.on-metered = true` allows it";
    await withQueue(here, { ...pi, state: "held", reason }, [
      item("next"),
      { ...item("asked"), now: true },
      { ...item("unknown"), size: null },
    ]);
    expect((await here.run("queue", "list")).out).toBe(`SIZE     FOR  TO  PATH
2.0 KiB  1 h  pi  ${storePath("next")}
    pi: held back
2.0 KiB  1 h  pi  ${storePath("asked")}
    pi: next in turn
-        1 h  pi  ${storePath("unknown")}
    pi: held back
3 paths, 4.0 KiB or more
Uploads to pi are held back: ${reason}
`);
    expect((await here.run("queue", "list", "--plain")).out).toBe(`\
${storePath("next")}, 2.0 KiB, queued 1 hour ago. pi: held back.
${storePath("asked")}, 2.0 KiB, queued 1 hour ago. pi: next in turn.
${storePath("unknown")}, of unknown size, queued 1 hour ago. pi: held back.
3 paths, 4.0 KiB or more
Uploads to pi are held back: ${reason}
`);
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
    await here.run("queue", "retry", "--now", storePath("a"));
    await here.run("queue", "drop", storePath("a"));
    await here.run("queue", "drop", ...many);
    expect(asked).toEqual([
      { command: "queue-retry", paths: null },
      { command: "queue-retry", paths: [storePath("a")], now: true },
      { command: "queue-drop", paths: [storePath("a")] },
      { command: "queue-drop", paths: many.slice(0, 150) },
      { command: "queue-drop", paths: many.slice(150) },
    ]);
    expect(await here.run("queue", "burn")).toMatchObject({ code: 2 });
    expect(await here.run("queue", "drop", "--now")).toMatchObject({
      code: 2,
      err: expect.stringContaining("queue drop takes no --now") as string,
    });
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

  test("says why nothing goes, and --now asks for it all the same", async () => {
    const here = shell();
    const held = { ...pi, state: "held" as const, reason: "on battery with 9 % left" };
    const asked = await withQueue(here, held, [item("a")], [item("a")], [item("a")], []);
    const told =
      "nix-tether: pi is sent nothing: on battery with 9 % left; `enqueue --now` sends it all the same\n";
    expect(await here.run("enqueue", storePath("a"))).toEqual({ code: 0, out: "queued 1 path\n", err: told });
    // Once, however long it takes.
    expect(await here.run("enqueue", "--wait", storePath("a"))).toEqual({
      code: 0,
      out: "1 of 1 path uploaded\n",
      err: told,
    });
    await here.run("enqueue", "--now", storePath("a"));
    expect(asked.at(-1)).toEqual({ command: "enqueue", paths: [storePath("a")], now: true });
  });

  test("--wait on a terminal that can not draw says lines", async () => {
    for (const dumb of [true, false]) {
      const here = shell({ columns: 80 });
      if (dumb) here.env["TERM"] = "dumb";
      await withQueue(here, { ...pi, state: "offline" }, [item("a")], []);
      expect(await here.run("enqueue", "--wait", ...(dumb ? [] : ["--plain"]), storePath("a"))).toEqual({
        code: 0,
        out: "1 of 1 path uploaded\n",
        err: "nix-tether: pi is not in reach\n",
      });
    }
  });

  test("--wait shows a bar on a terminal", async () => {
    const here = shell({ columns: 80 });
    const copying = { ...pi, state: "copying" as const, rate: 512 };
    await withQueue(here, copying, [item("b", { sent: 1024 })], []);
    const { out } = await here.run("enqueue", "--wait", storePath("a"), storePath("b"));
    expect(out).toContain(
      `\r[${"#".repeat(12)}${" ".repeat(12)}] 1 of 2 paths, 1.0 of 2.0 KiB, 512 B/s, 2 s left`,
    );
    expect(out.endsWith("\r\u001b[K2 of 2 paths uploaded\n")).toBe(true);
  });
});

test("hook-script prints where the hook is", async () => {
  const { out } = await shell().run("hook-script");
  expect(readFileSync(out.trim(), "utf8")).toContain("Nix's post-build hook");
});
