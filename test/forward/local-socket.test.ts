// The forward over real unix sockets: bytes both ways, each side's end, and whose files it touches.

import { randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rename,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex, PassThrough } from "node:stream";
import { buffer, text } from "node:stream/consumers";

import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";

import { openForward, type Forward } from "../../src/forward/local-socket.js";

let folder = "";
let path = "";

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "nix-tether-forward-"));
  path = join(folder, "pi.sock");
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function forward(openDaemon: () => Promise<Duplex>, at = path): Promise<Forward> {
  const opened = await openForward({ path: at, openDaemon, log: pino({ level: "silent" }) });
  onTestFinished(() => opened.close());
  return opened;
}

/** A "remote daemon": a TCP server whose accepted sockets are handed to `serve`. */
async function remote(serve: (socket: net.Socket) => void): Promise<() => Promise<Duplex>> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    serve(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const { port } = server.address() as net.AddressInfo;
  return async () => {
    const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    await once(socket, "connect");
    return socket;
  };
}

function connect(allowHalfOpen = true): net.Socket {
  const socket = net.connect({ path, allowHalfOpen });
  socket.on("error", () => undefined);
  onTestFinished(() => void socket.destroy());
  return socket;
}

const echo = (socket: net.Socket): void => void socket.pipe(socket);

describe("joining", () => {
  test("passes bytes both ways, and each end, on several connections", async () => {
    const opened = await forward(await remote(echo));
    const sent = randomBytes(3_000_000);
    const clients = [connect(), connect(), connect()];
    const got = await Promise.all(clients.map((client) => buffer(client.end(sent))));
    for (const bytes of got) expect(bytes.equals(sent)).toBe(true);
    await expect.poll(() => opened.connections).toBe(0);
  });

  test("an answer may come after the question's end", async () => {
    const late = await remote((socket) => {
      let question = "";
      socket.on("data", (piece: Buffer) => (question += piece.toString()));
      socket.on("end", () => socket.end(`answer to ${question}`));
    });
    await forward(late);
    expect(await text(connect().end("this"))).toBe("answer to this");
  });

  test("what the remote side said before it closed is delivered", async () => {
    const words = randomBytes(2_000_000);
    await forward(await remote((socket) => void socket.end(words).resume()));
    const client = connect(false);
    expect((await buffer(client)).equals(words)).toBe(true);
  });

  test("… also when it closes both ways at once and the client is slow", async () => {
    const words = randomBytes(3_000_000);
    let stream: Duplex | undefined;
    await forward(async () => {
      stream = new Duplex({
        allowHalfOpen: false,
        read: () => undefined,
        write: (_chunk, _encoding, done) => done(),
      });
      stream.push(words);
      stream.push(null);
      return stream;
    });
    const client = connect(false);
    client.pause();
    await expect.poll(() => stream?.closed).toBe(true);
    expect((await buffer(client)).equals(words)).toBe(true);
  });

  test("a remote daemon that takes too long to open is given up, and closed when it comes", async () => {
    let arrive = (_stream: Duplex): void => undefined;
    const opened = await openForward({
      path,
      openDaemon: () => new Promise((resolve) => (arrive = resolve)),
      log: pino({ level: "silent" }),
      openMs: 50,
    });
    onTestFinished(() => opened.close());
    await once(connect(false).resume(), "close");
    const late = new PassThrough();
    arrive(late);
    await expect.poll(() => late.destroyed).toBe(true);
  });

  test("the remote side's death is the client's, and the client's the remote side's", async () => {
    const remotes: net.Socket[] = [];
    const opened = await forward(await remote((socket) => void remotes.push(socket)));
    const first = connect(false);
    await expect.poll(() => remotes.length).toBe(1);
    remotes[0]?.resetAndDestroy();
    await once(first.resume(), "close");

    const second = connect();
    await expect.poll(() => remotes.length).toBe(2);
    const gone = once(remotes[1]?.resume() as net.Socket, "end");
    second.destroy();
    await gone;
    remotes[1]?.end();
    await expect.poll(() => opened.connections).toBe(0);
  });

  test("the end of a connection that had sent something is told", async () => {
    let told = 0;
    const opened = await openForward({
      path,
      openDaemon: await remote(echo),
      onSent: () => (told += 1),
      log: pino({ level: "silent" }),
    });
    onTestFinished(() => opened.close());
    const sending = connect();
    sending.write("upload");
    await once(sending, "data");
    expect(told).toBe(0);
    await text(sending.end());
    await expect.poll(() => told).toBe(1);
    await text(connect().end());
    await expect.poll(() => opened.connections).toBe(0);
    expect(told).toBe(1);
  });

  test("an error on the remote stream does not escape", async () => {
    const streams: Duplex[] = [];
    await forward(async () => {
      const stream = Duplex.from({ readable: new PassThrough(), writable: new PassThrough() });
      streams.push(stream);
      return stream;
    });
    const client = connect(false);
    await expect.poll(() => streams.length).toBe(1);
    streams[0]?.destroy(new Error("channel broke"));
    await once(client.resume(), "close");
  });

  test("a remote daemon that cannot be reached ends the connection; the forward lives on", async () => {
    const open = await remote(echo);
    let reachable = false;
    await forward(() => (reachable ? open() : Promise.reject(new Error("no channel"))));
    expect(await text(connect())).toBe("");
    reachable = true;
    expect(await text(connect().end("hello"))).toBe("hello");
  });

  test("a slow reader holds the writer back", async () => {
    let written = 0;
    await forward(
      await remote((socket) => {
        const more = (): void => {
          const piece = Buffer.alloc(65_536);
          while (written < 200 * 2 ** 20) {
            written += piece.length;
            if (!socket.write(piece)) {
              socket.once("drain", more);
              return;
            }
          }
        };
        more();
      }),
    );
    const client = connect();
    client.pause();
    await once(client, "connect");
    let before = -1;
    await expect
      .poll(
        () => {
          const still = before === written && written > 0;
          before = written;
          return still;
        },
        { interval: 200, timeout: 5_000 },
      )
      .toBe(true);
    expect(written).toBeLessThan(24 * 2 ** 20);
  });
});

describe("the socket", () => {
  const unused = (): Promise<Duplex> => Promise.reject(new Error("not to be called"));

  test("is the user's alone, in a folder that is made so, and nothing else is left there", async () => {
    await chmod(folder, 0o755);
    await forward(unused);
    expect((await lstat(path)).mode & 0o777).toBe(0o600);
    expect((await lstat(folder)).mode & 0o777).toBe(0o700);
    expect(await readdir(folder)).toEqual(["pi.sock"]);
  });

  test("may need its folder made", async () => {
    path = join(folder, "nix-tether", "pi.sock");
    await forward(unused);
    expect((await lstat(join(folder, "nix-tether"))).mode & 0o777).toBe(0o700);
  });

  test("closing removes it and ends the connections, twice without harm", async () => {
    const opened = await forward(await remote(echo));
    const client = connect(false);
    await expect.poll(() => opened.connections).toBe(1);
    const ended = once(client.resume(), "close");
    await Promise.all([opened.close(), opened.close()]);
    await ended;
    expect(await readdir(folder)).toEqual([]);
    expect(opened.connections).toBe(0);
  });

  test("closing ends a connection whose remote side is still being opened", async () => {
    let arrive = (_stream: Duplex): void => undefined;
    const opened = await forward(() => new Promise((resolve) => (arrive = resolve)));
    const client = connect(false);
    await expect.poll(() => opened.connections).toBe(1);
    const ended = once(client.resume(), "close");
    await opened.close();
    await ended;
    const late = new PassThrough();
    arrive(late);
    await expect.poll(() => late.destroyed).toBe(true);
  });

  test("one that nobody answers on is replaced", async () => {
    const dead = net.createServer().listen(path);
    await once(dead, "listening");
    await rename(path, join(folder, "kept"));
    await new Promise((resolve) => dead.close(resolve));
    await rename(join(folder, "kept"), path);
    await forward(await remote(echo));
    expect(await text(connect().end("hello"))).toBe("hello");
  });

  test("a live one is left alone", async () => {
    const first = await forward(await remote(echo));
    await expect(forward(unused)).rejects.toMatchObject({ code: "socket-in-use" });
    expect(await text(connect().end("hello"))).toBe("hello");
    await first.close();
  });

  test.each(["file", "folder", "link"])("a %s in its place is left alone", async (kind) => {
    if (kind === "file") await writeFile(path, "mine");
    if (kind === "folder") await mkdir(path);
    if (kind === "link") await symlink("/nowhere", path);
    const before = await lstat(path);
    await expect(forward(unused)).rejects.toMatchObject({ code: "socket-path-taken" });
    expect((await lstat(path)).ino).toBe(before.ino);
  });

  test("what somebody else put in its place meanwhile is not removed", async () => {
    const opened = await forward(unused);
    expect(await opened.stands()).toBe(true);
    await rm(path);
    expect(await opened.stands()).toBe(false);
    await writeFile(path, "theirs");
    expect(await opened.stands()).toBe(false);
    await opened.close();
    expect(await readFile(path, "utf8")).toBe("theirs");
  });

  test("a path too long is told with both numbers", async () => {
    const long = join(folder, "x".repeat(200));
    const length = Buffer.byteLength(long);
    await expect(forward(unused, long)).rejects.toMatchObject({
      code: "socket-path-too-long",
      message: expect.stringMatching(new RegExp(`${length} bytes.* 107`)),
      remedy: expect.stringContaining("XDG_RUNTIME_DIR"),
    });
  });

  test("the longest path works", async () => {
    path = join(folder, "n".repeat(106 - folder.length));
    expect(path.length).toBe(107);
    await forward(await remote(echo));
    expect(await text(connect().end("hello"))).toBe("hello");
  });

  test("a shared folder is refused and left as it is", async () => {
    await chmod(folder, 0o1777);
    await expect(forward(unused)).rejects.toMatchObject({ code: "socket-folder" });
    expect((await lstat(folder)).mode & 0o7777).toBe(0o1777);
    await chmod(folder, 0o700);
    await writeFile(join(folder, "file"), "");
    await expect(forward(unused, join(folder, "file", "pi.sock"))).rejects.toMatchObject({
      code: "socket-folder",
    });
  });
});
