// `nix-tether demo` as a user runs it: it must really happen, end well only then, and leave nothing behind.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from "vitest";
import { compileProgram, type Program } from "../support/compile.js";
import { createNamespace, type Namespace } from "../support/netns.js";

const path = process.env["PATH"] ?? "";
const nobody = 65_534;

let program: Program;
let folder: string;

beforeAll(async () => {
  program = await compileProgram("src/main.ts");
  await chmod(dirname(dirname(program.file)), 0o755);
});
afterAll(() => program.remove());

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "demo-test-"));
  await chmod(folder, 0o755);
  for (const name of ["home", "tmp"]) {
    await mkdir(join(folder, name));
    await chown(join(folder, name), nobody, nobody);
  }
  return () => rm(folder, { recursive: true, force: true });
});

interface Played {
  readonly code: number | null;
  readonly output: string;
}

/** Plays the demo in the fresh home and temporary folder of this test. */
async function play(
  options: {
    readonly uid?: number;
    readonly path?: string;
    readonly temporary?: string;
    readonly interruptAt?: string;
    readonly namespace?: Namespace;
  } = {},
): Promise<Played> {
  const { namespace } = options;
  const inside = namespace === undefined ? [] : ["ip", "netns", "exec", namespace.name];
  const [command, ...args] = [...inside, process.execPath, program.file, "demo"] as const;
  const child = spawn(command, args, {
    env: {
      PATH: options.path ?? path,
      HOME: join(folder, "home"),
      TMPDIR: options.temporary ?? join(folder, "tmp"),
    },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
  });
  let output = "";
  let interrupted = false;
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output += chunk.toString();
      if (!interrupted && options.interruptAt !== undefined && output.includes(options.interruptAt)) {
        interrupted = true;
        // As Ctrl-C does it: to everything that runs in this terminal.
        process.kill(-Number(child.pid), "SIGINT");
      }
    });
  }
  const [code] = (await once(child, "close")) as [number | null];
  return { code, output };
}

/** Files of the demo, and processes that name its folder or run in it. */
async function leftovers(): Promise<string[]> {
  const files = [...(await readdir(join(folder, "tmp"))), ...(await readdir(join(folder, "home")))];
  const processes: string[] = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const about = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => "");
    if (Number(pid) !== process.pid && about.includes(folder)) processes.push(pid);
  }
  return [...files, ...processes];
}

/** A machine with nothing but a loopback interface, gone when the test has ended. */
async function aloneOnLoopback(): Promise<Namespace> {
  const namespace = await createNamespace("demo");
  onTestFinished(() => namespace.remove());
  return namespace;
}

test("with the real Nix, as root", async () => {
  const { code, output } = await play();
  expect(output).toMatch(/✓ the Pi's store is filled and signed: Nix \d/);
  const name = /told host = "(nix-tether-demo-[0-9a-f]{8}\.local)"/.exec(output)?.[1] ?? "no name";
  expect(output).toMatch(new RegExp(`✓ found ${name} by mDNS at 127\\.0\\.0\\.1 after \\d`));
  expect(output).toContain("the Pi leaves: its name is withdrawn");
  expect(output).toContain("the Pi returns, and announces its name");
  expect(output).toMatch(/✓ nix-store -r took a letter and the album it refers to/);
  expect(output).toMatch(/✓ a build that asks all the same is told "not here" \(404\)/);
  expect(output).toMatch(/✓ found and tethered again/);
  expect(output).not.toContain("✗");
  expect(code).toBe(0);
  expect(await leftovers()).toEqual([]);
});

test("with the real Nix, as a user without any rights", async () => {
  const { code, output } = await play({ uid: nobody });
  expect(output).toMatch(/✓ nix-store -r took a letter and the album it refers to/);
  expect(code).toBe(0);
  expect(await leftovers()).toEqual([]);
});

test("without Nix, with the embedded store", async () => {
  const bin = join(folder, "bin");
  await mkdir(bin);
  for (const name of ["ssh", "ssh-keygen", "id"]) await symlink(`/usr/bin/${name}`, join(bin, name));
  const { code, output } = await play({ path: bin });
  expect(output).toContain("Nix is not installed here");
  expect(output).toMatch(/✓ a letter came through the gateway .* hash and signature right/);
  expect(code).toBe(0);
  expect(await leftovers()).toEqual([]);
});

test("without any network, by name all the same", async () => {
  const { code, output } = await play({ namespace: await aloneOnLoopback() });
  expect(output).toMatch(/✓ found nix-tether-demo-\S+ by mDNS at 127\.0\.0\.1/);
  expect(code).toBe(0);
  expect(await leftovers()).toEqual([]);
});

test("where multicast is blocked, by address, and it says so", async () => {
  const namespace = await aloneOnLoopback();
  const rules = `table inet demo {
    chain input { type filter hook input priority 0; ip daddr 224.0.0.0/4 drop; }
  }`;
  await namespace.exec("nft", rules);
  const { code, output } = await play({ namespace });
  expect(output).toMatch(
    /· multicast does not work on 127\.0\.0\.1 here.*, so the daemon is told the address/,
  );
  expect(output).toContain('told host = "127.0.0.1"');
  expect(output).not.toContain("mDNS");
  expect(output).toMatch(/✓ tethered after/);
  expect(output).toMatch(/✓ found and tethered again/);
  expect(output).not.toContain("✗");
  expect(code).toBe(0);
  expect(await leftovers()).toEqual([]);
});

test("interrupted in the middle, it cleans up and says 130", async () => {
  const { code, output } = await play({ interruptAt: "the Pi leaves" });
  expect(output).toContain("ended by SIGINT");
  expect(code).toBe(130);
  expect(await leftovers()).toEqual([]);
});

test("when the daemon can not run, it says so with the daemon's words and ends with 1", async () => {
  // Too long for a socket's name, so the daemon can not listen.
  const deep = join(folder, "tmp", "x".repeat(100));
  await mkdir(deep);
  const { code, output } = await play({ temporary: deep });
  expect(output).toContain("✗ the daemon has ended");
  expect(output).toMatch(/the end of the daemon's log:\n.*sock/);
  expect(code).toBe(1);
  expect(await readdir(deep)).toEqual([]);
});
