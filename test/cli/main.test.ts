// The compiled program as a process of its own: exit codes, what it loads, how it ends.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { serveControl } from "../../src/control/server.js";
import { compileProgram, type Program } from "../support/compile.js";
import { freePort } from "../support/sshd.js";
import { silentLog } from "../support/silent-log.js";
import { cacheStatus, statusReport } from "../support/status-report.js";
import { temporaryFolder } from "../support/temp-folder.js";

let program: Program;

beforeAll(async () => {
  program = await compileProgram("src/main.ts");
}, 120_000);

afterAll(() => program.remove());

/** Prints the address of every module that is loaded, on stderr, each behind "LOADED ". */
const tracer = `data:text/javascript,${encodeURIComponent(`
  import { register } from "node:module";
  register("data:text/javascript," + encodeURIComponent(\`
    import { writeSync } from "node:fs";
    export async function load(url, context, next) {
      writeSync(2, "LOADED " + url + "\\\\n");
      return next(url, context);
    }
  \`));
`)}`;

interface Result {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function start(root: string, argv: readonly string[], node: readonly string[] = []): Promise<Result> {
  const env = { PATH: process.env["PATH"], HOME: root, XDG_RUNTIME_DIR: root };
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [...node, program.file, ...argv],
      { env },
      (_error, out, err) => {
        resolve({ code: child.exitCode, out, err });
      },
    );
  });
}

async function daemonIn(root: string): Promise<void> {
  const server = await serveControl({
    path: path.join(root, "nix-tether/control.sock"),
    handle: async () => ({ ok: true, status: statusReport({ pi: cacheStatus("pi") }) }),
    log: silentLog,
  });
  onTestFinished(() => server.close());
}

/** What a command has loaded: packages, and files of the program without those. */
async function loadedBy(root: string, ...argv: string[]): Promise<{ packages: string[]; files: number }> {
  const { err } = await start(root, argv, ["--import", tracer]);
  const files = [...err.matchAll(/^LOADED file:(.*)$/gm)].map(([, file]) => file ?? "");
  expect(files).not.toEqual([]);
  const inside = /\/node_modules\/((?:@[^/]+\/)?[^/]+)/;
  const names = files.flatMap((file) => inside.exec(file)?.[1] ?? []);
  return { packages: [...new Set(names)], files: files.length - names.length };
}

test("status answers without loading a single package, and with few files, for each costs half a millisecond", async () => {
  const root = temporaryFolder();
  await daemonIn(root);
  expect(await start(root, ["status", "--json"])).toEqual({
    code: 0,
    out: `${JSON.stringify(statusReport({ pi: cacheStatus("pi") }), null, 2)}\n`,
    err: "",
  });
  const most: readonly (readonly [number, ...string[]])[] = [
    [15, "status"],
    [10, "status", "--json"],
    [10, "status", "--quiet"],
    [12, "status", "--format", "waybar"],
  ];
  for (const [files, ...words] of most) {
    const loaded = await loadedBy(root, ...words);
    expect(loaded.packages).toEqual([]);
    expect(loaded.files, words.join(" ")).toBeLessThanOrEqual(files);
  }
}, 60_000);

test("status in its other forms loads the command line parser, and nothing of the daemon", async () => {
  const root = temporaryFolder();
  await daemonIn(root);
  const { packages } = await loadedBy(root, "status", "pi");
  expect(packages).toContain("yargs");
  for (const heavy of ["ssh2", "bonjour-service", "dbus-next", "pino", "zod", "smol-toml"]) {
    expect(packages).not.toContain(heavy);
  }
}, 60_000);

test("run holds no command line parser in memory, and ends as with it where nothing is configured", async () => {
  const root = temporaryFolder();
  expect((await loadedBy(root, "run")).packages).not.toContain("yargs");
  const short = await start(root, ["run"]);
  expect(short).toMatchObject({ code: 2, err: expect.stringContaining("config.toml") as string });
  const file = path.join(root, ".config/nix-tether/config.toml");
  expect(await start(root, ["run", "--config", file])).toEqual(short);
}, 60_000);

test("the shortcuts end as the full command line does", async () => {
  const root = temporaryFolder();
  const expected = {
    code: 4,
    out: "",
    err: expect.stringMatching(/^nix-tether: no daemon is running\nStart it/) as string,
  };
  for (const words of [["status"], ["status", "--json"], ["status", "pi"]]) {
    expect(await start(root, words)).toEqual(expected);
  }
  for (const words of [
    ["status", "--quiet"],
    ["status", "pi", "--quiet"],
  ]) {
    expect(await start(root, words)).toEqual({ code: 4, out: "", err: "" });
  }
  expect(await start(root, ["status --json"])).toMatchObject({ code: 2 });
}, 60_000);

test("the version is the package's, and a wrong configuration ends with 2", async () => {
  const root = temporaryFolder();
  expect(await start(root, ["--version"])).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string,
  });
  mkdirSync(path.join(root, ".config/nix-tether"), { recursive: true });
  writeFileSync(path.join(root, ".config/nix-tether/config.toml"), "cache = 1");
  expect(await start(root, ["run"])).toMatchObject({
    code: 2,
    err: expect.stringContaining('line 1: cache: unknown key, did you mean "caches"?') as string,
  });
}, 60_000);

test("run says at its start that no nix.conf includes the override, with the line to add, until it is there", async () => {
  const root = temporaryFolder();
  const nixConf = path.join(root, ".config/nix/nix.conf");
  mkdirSync(path.join(root, ".config/nix-tether"), { recursive: true });
  writeFileSync(path.join(root, ".config/nix-tether/config.toml"), `[gateway]\nport = ${await freePort()}\n`);
  const child = spawn(process.execPath, [program.file, "run"], {
    env: {
      PATH: process.env["PATH"],
      HOME: root,
      XDG_RUNTIME_DIR: root,
      DBUS_SYSTEM_BUS_ADDRESS: "unix:path=/nonexistent",
    },
    stdio: ["ignore", "inherit", "pipe"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (log += text));
  await expect.poll(() => log, { timeout: 20_000 }).toContain("nix-tether is running");

  const advice = `Add this line at the end of ${nixConf}: !include nix-tether.conf`;
  expect(log).toMatch(new RegExp(`^\\S+Z warn Nix does not read the override: .*${advice} code=`, "m"));
  expect((await start(root, ["status"])).out).toContain(`! Nix does not read the override`);
  writeFileSync(nixConf, "!include nix-tether.conf\n");
  expect((await start(root, ["status"])).out).toBe("No caches are configured.\n");

  child.kill("SIGTERM");
  expect(await once(child, "exit")).toEqual([0, null]);
}, 60_000);

test("an interrupted --watch ends by itself with the code of what it saw", async () => {
  const root = temporaryFolder();
  await daemonIn(root);
  const env = { HOME: root, XDG_RUNTIME_DIR: root };
  const child = spawn(process.execPath, [program.file, "status", "--watch"], {
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  await once(child.stdout, "data");
  child.kill("SIGINT");
  expect(await once(child, "exit")).toEqual([0, null]);
}, 60_000);

test("a --watch whose reader has gone ends", async () => {
  const root = temporaryFolder();
  const env = { HOME: root, XDG_RUNTIME_DIR: root };
  let changes = 0;
  const server = await serveControl({
    path: path.join(root, "nix-tether/control.sock"),
    handle: async () => ({
      ok: true,
      status: statusReport({ pi: cacheStatus("pi", { port: changes++ }) }),
    }),
    log: silentLog,
  });
  onTestFinished(() => server.close());
  const child = spawn(process.execPath, [program.file, "status", "--watch"], {
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  await once(child.stdout, "data");
  child.stdout.destroy();
  expect(await once(child, "exit")).toEqual([0, null]);
}, 60_000);
