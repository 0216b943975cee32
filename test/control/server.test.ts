import { chmodSync, existsSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { describe, expect, onTestFinished, test } from "vitest";
import { askDaemon } from "../../src/control/client.js";
import type { ControlReply, ControlRequest } from "../../src/control/messages.js";
import { serveControl, type ControlServer } from "../../src/control/server.js";
import { TetherError } from "../../src/util/errors.js";
import { silentLog } from "../support/silent-log.js";
import { cacheStatus, statusReport } from "../support/status-report.js";
import { temporaryFolder } from "../support/temp-folder.js";

const report = statusReport({ pi: cacheStatus("pi") });
const timeoutMs = 10_000;

async function serve(
  socketPath: string,
  handle: (request: ControlRequest) => Promise<ControlReply> = async () => ({ ok: true, status: report }),
): Promise<ControlServer> {
  const server = await serveControl({ path: socketPath, handle, log: silentLog });
  onTestFinished(() => server.close());
  return server;
}

function newPath(): string {
  return path.join(temporaryFolder(), "nix-tether", "control.sock");
}

/** Everything that the daemon says when `input` is all it hears. */
async function converse(socketPath: string, input: string): Promise<unknown[]> {
  const socket = net.connect(socketPath);
  socket.end(input);
  const output = await text(socket);
  return output
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as unknown);
}

describe("the socket", () => {
  test("is for its owner alone", async () => {
    const socketPath = newPath();
    await serve(socketPath);
    expect(statSync(socketPath).mode & 0o777).toBe(0o600);
    expect(statSync(path.dirname(socketPath)).mode & 0o777).toBe(0o700);
  });

  test("closes a folder that was open to others", async () => {
    const socketPath = newPath();
    mkdirSync(path.dirname(socketPath));
    chmodSync(path.dirname(socketPath), 0o755);
    await serve(socketPath);
    expect(statSync(path.dirname(socketPath)).mode & 0o777).toBe(0o700);
  });

  test("is gone after close, which may be called twice and ends open connections", async () => {
    const socketPath = newPath();
    const server = await serve(socketPath);
    const client = net.connect(socketPath);
    await once(client, "connect");
    const ended = once(client.resume(), "close");
    await Promise.all([server.close(), server.close()]);
    await ended;
    expect(existsSync(socketPath)).toBe(false);
  });

  test("is made anew when it was deleted with its folder, and left as it is while it stands", async () => {
    const socketPath = newPath();
    const server = await serve(socketPath);
    const { ino } = statSync(socketPath);
    await server.mend();
    expect(statSync(socketPath).ino).toBe(ino);
    const client = net.connect(socketPath);
    await once(client, "connect");

    rmSync(path.dirname(socketPath), { recursive: true });
    await server.mend();
    expect(statSync(socketPath).mode & 0o777).toBe(0o600);
    expect(statSync(path.dirname(socketPath)).mode & 0o777).toBe(0o700);
    expect(await askDaemon(socketPath, { command: "status" }, { timeoutMs })).toMatchObject({ ok: true });
    // Whoever was connected stays so.
    client.end('{"command":"status"}\n');
    expect(JSON.parse(await text(client))).toMatchObject({ ok: true });
    await server.close();
    expect(existsSync(socketPath)).toBe(false);
  });

  test("is left to another daemon that has taken its place", async () => {
    const socketPath = newPath();
    const first = await serve(socketPath);
    rmSync(socketPath);
    await serve(socketPath);
    await expect(first.mend()).rejects.toMatchObject({ code: "already-running" });
    await first.close();
    expect(await askDaemon(socketPath, { command: "status" }, { timeoutMs })).toMatchObject({ ok: true });
  });

  test("takes the place of one that a killed daemon left", async () => {
    const socketPath = newPath();
    mkdirSync(path.dirname(socketPath), { mode: 0o700 });
    const script = `require("net").createServer().listen(${JSON.stringify(socketPath)}, () => console.log("up"))`;
    const other = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
    await once(other.stdout, "data");
    other.kill("SIGKILL");
    await once(other, "exit");
    expect(existsSync(socketPath)).toBe(true);
    await serve(socketPath);
    expect(await askDaemon(socketPath, { command: "status" }, { timeoutMs })).toEqual({
      ok: true,
      status: report,
    });
  });

  test("is refused to a second daemon, with the pid of the first, which goes on", async () => {
    const socketPath = newPath();
    await serve(socketPath);
    await expect(serve(socketPath)).rejects.toMatchObject({
      code: "already-running",
      message: "a daemon is running already (pid 4242)",
    });
    expect(await askDaemon(socketPath, { command: "status" }, { timeoutMs })).toMatchObject({ ok: true });
  });

  test("is refused to a second daemon while the first can not tell its pid", async () => {
    const socketPath = newPath();
    await serve(socketPath, async () => ({ ok: false, code: "starting", message: "not yet" }));
    await expect(serve(socketPath)).rejects.toMatchObject({ message: "a daemon is running already" });
  });

  test("does not replace what is not a socket, nor make folders outside its own, nor take too long a path", async () => {
    const socketPath = newPath();
    mkdirSync(path.dirname(socketPath));
    writeFileSync(socketPath, "mine");
    await expect(serve(socketPath)).rejects.toMatchObject({ code: "control-unusable" });
    await expect(serve(path.join(temporaryFolder(), "a", "b", "c.sock"))).rejects.toMatchObject({
      code: "socket-folder",
      message: expect.stringContaining("ENOENT") as string,
    });
    await expect(serve(path.join(temporaryFolder(), "x".repeat(108)))).rejects.toMatchObject({
      code: "socket-path-too-long",
      remedy: expect.stringContaining("shorter folder") as string,
    });
  });
});

describe("a conversation", () => {
  test("answers many requests in order, an unfinished last line included", async () => {
    const socketPath = newPath();
    const seen: ControlRequest[] = [];
    await serve(socketPath, async (request) => {
      // The first takes the longest, and is still answered first.
      await new Promise((resolve) => setTimeout(resolve, 20 - seen.length * 10));
      seen.push(request);
      return { ok: false, code: String(seen.length), message: request.command };
    });
    const input = '{"command":"pause","cache":"pi"}\n\n{"command":"resume"}\n{"command":"status"}';
    expect(await converse(socketPath, input)).toEqual([
      { ok: false, code: "1", message: "pause" },
      { ok: false, code: "2", message: "resume" },
      { ok: false, code: "3", message: "status" },
    ]);
    expect(seen).toEqual([
      { command: "pause", cache: "pi" },
      { command: "resume", cache: null },
      { command: "status" },
    ]);
  });

  test("answers bad input with what is wrong, and goes on", async () => {
    const socketPath = newPath();
    await serve(socketPath);
    const bad = [
      "{",
      "3",
      '{"command":"dance"}',
      '{"command":"pause","cache":3}',
      '{"command":"status","x":1}',
    ];
    const input = [...bad, "x".repeat(70_000), '{"command":"status"}'].map((line) => `${line}\n`).join("");
    const message = (words: string): unknown => ({
      ok: false,
      code: "bad-request",
      message: expect.stringContaining(words) as string,
    });
    expect(await converse(socketPath, input)).toEqual([
      message("not JSON"),
      message("not understood"),
      message('"status", "pause", "resume"'),
      message("cache: a cache's name or null"),
      message("not understood"),
      message("longer than 65536 bytes"),
      { ok: true, status: report },
    ]);
  });

  test("tells what a request failed of", async () => {
    const socketPath = newPath();
    await serve(socketPath, async ({ command }) => {
      if (command === "status") throw new Error("a bug");
      throw new TetherError("some-code", "in words", command === "pause" ? {} : { remedy: "Do this." });
    });
    const remedied = { ok: false, code: "some-code", message: "in words", remedy: "Do this." };
    expect(
      await converse(socketPath, '{"command":"pause"}\n{"command":"resume"}\n{"command":"status"}\n'),
    ).toEqual([
      { ok: false, code: "some-code", message: "in words" },
      remedied,
      { ok: false, code: "internal", message: "a bug" },
    ]);
    expect(await askDaemon(socketPath, { command: "resume", cache: null }, { timeoutMs })).toEqual(remedied);
  });

  test("survives clients that leave in the middle", async () => {
    const socketPath = newPath();
    await serve(socketPath);
    for (let count = 0; count < 5; count++) {
      const socket = net.connect(socketPath);
      socket.on("error", () => undefined);
      socket.write('{"command":"status"}\n{"comm', () => socket.destroy());
      await once(socket, "close");
    }
    expect(await askDaemon(socketPath, { command: "status" }, { timeoutMs })).toMatchObject({ ok: true });
  });
});

describe("the client", () => {
  /** A daemon of its own kind: says `output` to whoever asks. */
  async function impostor(output: string | null): Promise<string> {
    const socketPath = path.join(temporaryFolder(), "s");
    const server = net.createServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => output !== null && socket.end(output));
      onTestFinished(() => void socket.destroy());
    });
    server.listen(socketPath);
    await once(server, "listening");
    onTestFinished(() => void server.close());
    return socketPath;
  }

  test("knows that no daemon runs", async () => {
    const folder = temporaryFolder();
    writeFileSync(path.join(folder, "file"), "");
    for (const name of ["none.sock", "no/folder.sock", "file/x.sock"]) {
      await expect(
        askDaemon(path.join(folder, name), { command: "status" }, { timeoutMs }),
      ).rejects.toMatchObject({
        code: "no-daemon",
        message: "no daemon is running",
        remedy: expect.stringContaining("systemctl --user start nix-tether") as string,
      });
    }
  });

  test("waits no longer than it was told", async () => {
    const socketPath = await impostor(null);
    await expect(askDaemon(socketPath, { command: "status" }, { timeoutMs: 50 })).rejects.toMatchObject({
      code: "timeout",
    });
  });

  test.each([
    ["", "closed the connection without an answer"],
    ["hello\n", "not JSON"],
    ['{"ok":true}\n', "makes no sense"],
    ["null\n", "makes no sense"],
    ['{"ok":true,"status":{"version":2,"caches":{}}}\n', "another version"],
    [`${"x".repeat(16 * 1024 * 1024 + 1)}\n`, "too long"],
  ])("says what is wrong with the answer %.20j", async (output, words) => {
    const socketPath = await impostor(output);
    await expect(askDaemon(socketPath, { command: "status" }, { timeoutMs })).rejects.toMatchObject({
      code: "control-failed",
      message: expect.stringContaining(words) as string,
    });
  });
});
