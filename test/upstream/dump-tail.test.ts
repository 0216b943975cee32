// The command that gives the end of a NAR, run by real shells, with a nix-store that does what the test says.

import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { pino } from "pino";
import { beforeEach, describe, expect, it } from "vitest";
import type { RemoteProgram } from "../../src/link/link.js";
import { createDaemonUpstream } from "../../src/upstream/daemon-upstream.js";
import { createDumpTail } from "../../src/upstream/dump-tail.js";
import type { NarTail } from "../../src/upstream/upstream.js";
import { answererFor, fakeDaemon } from "../support/fake-daemon.js";
import { encodeNar } from "../support/nar.js";
import { infoOf } from "../support/path-infos.js";
import { runProgram } from "../support/remote-program.js";
import { temporaryFolder } from "../support/temp-folder.js";
import { collect } from "../support/wire.js";

const log = pino({ level: "silent" });
const never = new AbortController().signal;
const nar = encodeNar({ kind: "regular", contents: randomBytes(3_000_000) });
const path = `/nix/store/${"a".repeat(32)}-odd+name_1.0=x?y`;
const info = infoOf(path, nar.length);

let dir: string;
let env: NodeJS.ProcessEnv;
let runs: number;

/** Puts a nix-store in the PATH that does this. */
function nixStore(does: string): void {
  writeFileSync(join(dir, "bin", "nix-store"), `#!/bin/sh\n${does}\n`);
  chmodSync(join(dir, "bin", "nix-store"), 0o755);
}

const shell = (command: string): RemoteProgram => runProgram(["/bin/sh"], command, env);

function openTail(
  exec: (command: string) => RemoteProgram,
  options: { markerMs?: number; onBytes?: (count: number) => void } = {},
): (from: number, signal?: AbortSignal) => Promise<Readable | null> {
  const { markerMs = 5_000, onBytes = () => undefined } = options;
  const counted = async (command: string): Promise<RemoteProgram> => {
    runs += 1;
    return exec(command);
  };
  const tail = createDumpTail({ exec: counted, markerMs, onBytes, log });
  return (from, signal = never) => tail.open(info, from, signal);
}

async function tailOf(open: Promise<Readable | null>): Promise<Buffer> {
  const stream = await open;
  if (stream === null) throw new Error("no tail");
  return collect(stream);
}

beforeEach(() => {
  dir = temporaryFolder();
  runs = 0;
  mkdirSync(join(dir, "bin"));
  writeFileSync(join(dir, "nar"), nar);
  env = { PATH: `${join(dir, "bin")}:/usr/bin:/bin`, HOME: dir, NAR: join(dir, "nar"), WANTED: path };
  nixStore('[ "$1" = --dump ] && [ "$2" = "$WANTED" ] && [ $# = 2 ] && exec cat "$NAR"; exit 1');
});

describe("the end of a NAR", () => {
  const shells = [["/bin/sh"], ["/bin/bash"], ["/bin/busybox", "sh"]] as const;
  const here = shells.filter(([file]) => existsSync(file)).map((words) => ({ words }));
  it.each(here)("comes by $words", async ({ words }) => {
    const open = openTail((command) => runProgram(words, command, env));
    for (const from of [1, 1_234_567, nar.length - 1]) {
      expect((await tailOf(open(from))).equals(nar.subarray(from))).toBe(true);
    }
  });

  it("comes from a nix-store that only a login shell would find", async () => {
    const profile = join(dir, ".nix-profile");
    mkdirSync(profile);
    nixStore('exec cat "$NAR"');
    env = { ...env, PATH: "/nonexistent", HOME: dir };
    renameSync(join(dir, "bin"), join(profile, "bin"));
    expect((await tailOf(openTail(shell)(2_000_000))).equals(nar.subarray(2_000_000))).toBe(true);
  });

  it("is read no faster than it is taken, and its command ends when nobody takes it", async () => {
    nixStore("exec cat /dev/zero");
    let bytes = 0;
    const endless = { ...info, narSize: 2 ** 40 };
    const program: RemoteProgram[] = [];
    const tail = createDumpTail({
      exec: async (command) => (program[0] = shell(command)),
      markerMs: 5_000,
      onBytes: (count) => void (bytes += count),
      log,
    });
    const stream = await tail.open(endless, 10, never);
    await sleep(300);
    expect(bytes).toBeLessThan(4 * 2 ** 20);
    stream?.destroy();
    await expect.poll(() => program[0]?.destroyed).toBe(true);
  });
});

describe("what is no end of that NAR", () => {
  it.each([
    ["too short", 'head -c 1500000 "$NAR"'],
    ["nothing", "echo no such path >&2; exit 1"],
    ["too long", 'cat "$NAR"; echo more'],
  ])("%s, is an error, and is not tried again", async (_what, does) => {
    nixStore(does);
    const open = openTail(shell);
    await expect(tailOf(open(1_000_000))).rejects.toMatchObject({ code: "tail-failed" });
    expect(await open(1_000_000)).toBeNull();
    expect(runs).toBe(1);
  });

  it("is never given whole before its program has ended well", async () => {
    const open = openTail((command) => shell(`${command}; exit 3`));
    let count = 0;
    const stream = (await open(1_000_000)) as Readable;
    stream.on("data", (piece: Buffer) => (count += piece.length));
    await expect(new Promise((_resolve, reject) => stream.once("error", reject))).rejects.toMatchObject({
      code: "tail-failed",
    });
    expect(count).toBeLessThan(nar.length - 1_000_000);
  });

  it.each([
    ["a forced nix-daemon that waits for its client", "cat"],
    ["a forced command that says something", "echo hello; sleep 1"],
    ["an echo of what was asked for", 'printf %s "$SSH_ORIGINAL_COMMAND"'],
    ["a forced command that gives NARs", 'cat "$NAR"'],
    ["no such shell", "exit 127"],
  ])("%s, is not taken for one", async (_what, other) => {
    const open = openTail((command) =>
      runProgram(["/bin/sh"], other, { ...env, SSH_ORIGINAL_COMMAND: command }),
    );
    expect(await open(1_000_000)).toBeNull();
    expect(await open(1_000_000)).toBeNull();
    expect(runs).toBe(1);
  });

  it("nor is silence", async () => {
    const open = openTail(() => runProgram(["/bin/sh"], "exec sleep 60", env), { markerMs: 100 });
    expect(await open(1_000_000)).toBeNull();
  });

  it("no nix-store there", async () => {
    env = { ...env, PATH: "/usr/bin:/bin" };
    const open = openTail((command) =>
      runProgram(["/bin/sh"], command.replaceAll("nix-store", "no-store"), env),
    );
    expect(await open(1_000_000)).toBeNull();
  });
});

it("follows the caller's signal until it is given", async () => {
  const abort = new AbortController();
  const opening = openTail(() => runProgram(["/bin/sh"], "exec sleep 60", env))(1_000_000, abort.signal);
  abort.abort(new Error("gone"));
  await expect(opening).rejects.toThrow("gone");
});

describe("an upstream asked for the end of a NAR", () => {
  const setUp = (exec?: (command: string) => Promise<RemoteProgram>, rootMs = 50) => {
    const daemon = fakeDaemon(answererFor([info], () => nar));
    const openDaemon = () => daemon.openDaemon();
    const options = { openDaemon, log, limits: { narConnections: 1, idleMs: 50, rootMs } };
    return { daemon, upstream: createDaemonUpstream(exec === undefined ? options : { ...options, exec }) };
  };
  const bytesOf = async ({ stream, begins }: NarTail, from: number): Promise<Buffer> =>
    (await collect(stream)).subarray(from - begins);

  it("has it given by the machine, one at a time with all others", async () => {
    const { daemon, upstream } = setUp(async (command) => shell(command));
    for (let round = 0; round < 3; round += 1) {
      const tail = await upstream.openNarFrom(info, 2_000_000, never);
      expect(tail.begins).toBe(2_000_000);
      expect((await bytesOf(tail, 2_000_000)).equals(nar.subarray(2_000_000))).toBe(true);
    }
    expect(daemon.connections).toHaveLength(0);
    expect((await collect(await upstream.openNar(info, never))).equals(nar)).toBe(true);
    upstream.close();
  });

  it.each([
    ["there is no way to run a command", undefined],
    ["sshd refuses", () => Promise.reject(new Error("refused"))],
    ["another command runs", async () => runProgram(["/bin/sh"], "cat", env)],
  ])("begins from the start where %s", async (_why, exec) => {
    const { upstream } = setUp(exec);
    const tail = await upstream.openNarFrom(info, 2_000_000, never);
    expect(tail.begins).toBe(0);
    expect((await bytesOf(tail, 2_000_000)).equals(nar.subarray(2_000_000))).toBe(true);
    upstream.close();
  });

  it("runs no command for the sake of a few bytes", async () => {
    const { upstream } = setUp(() => Promise.reject(new Error("not to be asked")));
    expect((await upstream.openNarFrom(info, 500_000, never)).begins).toBe(0);
    upstream.close();
  });

  it("ends it when it is closed, and keeps the lookups' roots for it till then", async () => {
    nixStore('head -c 2500000 "$NAR"; exec sleep 6');
    // Beginning to read must not take longer.
    const rootMs = 1_000;
    const { daemon, upstream } = setUp(async (command) => shell(command), rootMs);
    await upstream.queryByHashPart("a".repeat(32), never);
    const { stream } = await upstream.openNarFrom(info, 2_000_000, never);
    const failure = collect(stream).catch((error: unknown) => error);
    await sleep(rootMs + 300);
    expect(daemon.connections[0]?.stream.readableEnded).toBe(false);
    upstream.close();
    expect(await failure).toMatchObject({ code: "closed" });
  });
});
