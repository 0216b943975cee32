// What redraws itself, on a real terminal: the compiled program in a pseudo-terminal, with a daemon that a test plays.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { stripVTControlCharacters } from "node:util";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { ControlReply, QueueItem } from "../../src/control/messages.js";
import { serveControl } from "../../src/control/server.js";
import { compileProgram, type Program } from "../support/compile.js";
import { silentLog } from "../support/silent-log.js";
import { cacheStatus, statusReport, uploadTarget } from "../support/status-report.js";
import { storePath } from "../support/store-paths.js";
import { temporaryFolder } from "../support/temp-folder.js";

const mib = 1_048_576;

let program: Program;

beforeAll(async () => {
  program = await compileProgram("src/main.ts");
  const root = path.dirname(path.dirname(program.file));
  copyFileSync(new URL("../../package.json", import.meta.url), path.join(root, "package.json"));
}, 120_000);

afterAll(() => program.remove());

/** A daemon that answers each request with the next of these, and from then on with the last. */
async function daemonIn(root: string, reply: (request: number) => ControlReply): Promise<void> {
  mkdirSync(path.join(root, "nix-tether"), { mode: 0o700 });
  let requests = 0;
  const server = await serveControl({
    path: path.join(root, "nix-tether/control.sock"),
    handle: async () => reply(requests++),
    log: silentLog,
  });
  onTestFinished(() => server.close());
}

interface Terminal {
  /** All that was written to it so far. */
  written(): string;
  /** The lines of what was drawn last, from the top of the screen. */
  screen(): string[];
  /** As a person does with Ctrl-C. */
  interrupt(): void;
  readonly ended: Promise<number | null>;
}

/** Runs the program on a terminal of this size. util-linux's `script` gives it one. */
function onTerminal(root: string, columns: number, argv: readonly string[], env = {}): Terminal {
  const command = `stty rows 24 cols ${columns}; exec ${process.execPath} ${program.file} ${argv.join(" ")}`;
  const child = spawn("script", ["-qec", command, "/dev/null"], {
    env: {
      PATH: process.env["PATH"],
      HOME: root,
      XDG_RUNTIME_DIR: root,
      TERM: "xterm",
      LANG: "C.UTF-8",
      ...env,
    },
    stdio: ["pipe", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  child.stdin.on("error", () => undefined);
  let all = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (all += text));
  return {
    written: () => all,
    screen: () =>
      stripVTControlCharacters(all.slice(all.lastIndexOf("\u001b[H")))
        .trimEnd()
        .split("\r\n"),
    interrupt: () => void child.stdin.write("\u0003"),
    ended: once(child, "close").then(([code]) => code as number | null),
  };
}

const transfer = (done: number): ControlReply => ({
  ok: true,
  status: statusReport(
    { pi: cacheStatus("pi", { narBytes: done * mib }) },
    {
      uploads: {
        waiting: 1,
        uploaded: 0,
        failed: 0,
        skipped: 0,
        targets: {
          pi: uploadTarget({
            state: "copying",
            waiting: 1,
            bytes: done * mib,
            left: (100 - done) * mib,
            rate: mib,
            now: storePath("hello-2.12"),
            going: { paths: 1, size: 100 * mib, sent: done * mib },
          }),
        },
      },
    },
  ),
});

test("status --watch draws over itself, and ends at Ctrl-C with the screen as it was drawn last", async () => {
  const root = temporaryFolder();
  await daemonIn(root, transfer);
  const terminal = onTerminal(root, 75, ["status", "--watch"]);
  await expect.poll(() => terminal.screen().join("\n"), { timeout: 20_000 }).toMatch(/3\.0 of 100\.0 MiB/);
  const lines = terminal.screen();
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(75);
  expect(lines.slice(0, 3)).toEqual([
    expect.stringMatching(/^CACHE {2}STATE {3}FOR +WHERE {9}IN NIX {2}GIVEN$/),
    expect.stringMatching(/^pi {5}online .* yes {5}12 of 40 paths \(30 %\), 3\.0 MiB$/) as string,
    "    uploads: copying hello-2.12, 3.0 of 100.0 MiB, 1.0 MiB/s, 1 min left",
  ]);
  expect(lines.slice(-2)).toEqual([
    expect.stringMatching(/^down +[▁-█]{2,5} +[\d.]+ [KM]iB\/s$/u) as string,
    expect.stringMatching(/^up +[▁-█]{2,5} +[\d.]+ [KM]iB\/s$/u) as string,
  ]);
  // From the top each time, and nothing of the picture before is left below or beside it.
  const pictures = terminal.written().split("\u001b[H").length - 1;
  expect(pictures).toBeGreaterThanOrEqual(3);
  expect(terminal.written().split("\u001b[J").length - 1).toBeGreaterThanOrEqual(pictures - 1);
  terminal.interrupt();
  expect(await terminal.ended).toBe(0);
}, 60_000);

test("status --watch where TERM is dumb says a sentence when something has changed, and draws nothing", async () => {
  const root = temporaryFolder();
  await daemonIn(root, (request) =>
    request < 2 ? transfer(request) : { ok: true, status: statusReport({ pi: cacheStatus("pi") }) },
  );
  const terminal = onTerminal(root, 40, ["status", "--watch"], { TERM: "dumb" });
  await expect.poll(() => terminal.written().match(/pi is online/g)?.length, { timeout: 20_000 }).toBe(2);
  terminal.interrupt();
  expect(await terminal.ended).toBe(0);
  expect(terminal.written()).not.toMatch(/[▁-█]/u);
  expect(terminal.written().replaceAll("^C", "")).toBe(
    stripVTControlCharacters(terminal.written()).replaceAll("^C", ""),
  );
}, 60_000);

test("enqueue --wait draws one line over itself, and what it waits for above it", async () => {
  const root = temporaryFolder();
  const paths = ["a", "b"].map(storePath) as [string, string];
  const item = (at: string, sent: number): QueueItem => ({
    path: at,
    deriver: null,
    size: 100 * mib,
    since: "2026-11-22T09:00:00.000Z",
    now: false,
    targets: [{ name: "pi", state: "waiting", sent, tries: 0, code: null, reason: null, retryAt: null }],
  });
  const held = uploadTarget({ state: "held", reason: "on a metered connection" });
  await daemonIn(root, (request) => {
    const [status, queue] =
      request < 3
        ? [held, paths.map((one) => item(one, 0))]
        : [uploadTarget({ state: "copying", rate: 25 * mib }), request < 6 ? [item(paths[1], 50 * mib)] : []];
    const uploads = { waiting: queue.length, uploaded: 0, failed: 0, skipped: 0, targets: { pi: status } };
    return { ok: true, status: statusReport({ pi: cacheStatus("pi") }, { uploads }), queue };
  });
  const terminal = onTerminal(root, 80, ["enqueue", "--wait", ...paths]);
  expect(await terminal.ended).toBe(0);
  // What each carriage return begins anew, less what clears the rest of the line.
  const drawn = terminal
    .written()
    .split(/[\r\n]+/)
    .map((line) => stripVTControlCharacters(line));
  const told = drawn.filter((line, index) => line !== "" && line !== drawn[index - 1]);
  expect(told).toEqual([
    "nix-tether: pi is sent nothing: on a metered connection; `enqueue --now` sends it all the same",
    `[${" ".repeat(24)}] 0 of 2 paths, 0 of 200.0 MiB`,
    `[${"#".repeat(15)}${" ".repeat(5)}] 1 of 2 paths, 150.0 of 200.0 MiB, 25.0 MiB/s, 2 s left`,
    "2 of 2 paths uploaded",
  ]);
}, 60_000);

test("a terminal that is closed is an interruption, after which nothing is aborted", async () => {
  const root = temporaryFolder();
  await daemonIn(root, transfer);
  const watch = `${process.execPath} ${program.file} status --watch`;
  // The shell outlives the terminal, to tell how the program ended.
  const command = `trap '' HUP; ${watch}; echo $? >${root}/code; mv ${root}/code ${root}/ended`;
  const child = spawn("script", ["-qec", command, "/dev/null"], {
    env: { PATH: process.env["PATH"], HOME: root, XDG_RUNTIME_DIR: root, TERM: "xterm", SHELL: "/bin/sh" },
    stdio: ["pipe", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  child.stdin.on("error", () => undefined);
  let written = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (written += text));
  await expect.poll(() => written, { timeout: 20_000 }).toContain("pi");
  child.kill("SIGKILL");
  const ended = (): string => readFileSync(path.join(root, "ended"), "utf8");
  await expect
    .poll(() => (existsSync(path.join(root, "ended")) ? ended() : ""), { timeout: 20_000 })
    .toBe("0\n");
}, 60_000);
