// The link's life against a real sshd and nix-daemon: both transports, its streams, and every way it can end.

import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { DaemonInfo } from "../../src/link/link.js";
import { handshakeDaemon } from "../../src/upstream/handshake-daemon.js";
import { makeLinkFixture, type ConnectOptions, type LinkFixture } from "../support/link-fixture.js";

let fixture: LinkFixture;
const helpers: Server[] = [];
beforeAll(async () => void (fixture = await makeLinkFixture()));
afterEach(async () => {
  await fixture.endTest();
  for (const server of helpers.splice(0)) server.close();
});
afterAll(() => fixture.dispose());

/** For tests that are about bytes: takes anything for a daemon. */
const believe = (): Promise<DaemonInfo> =>
  Promise.resolve({ protocol: 0x122, nixVersion: null, trusted: null });

/** A program that listens on a socket in place of the nix-daemon. */
async function listenOn(name: string, onConnection: (socket: Socket) => void): Promise<ConnectOptions> {
  const path = join(fixture.dir, name);
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    onConnection(socket);
  });
  helpers.push(server.listen(path));
  await once(server, "listening");
  return { config: { transport: "socket", remoteSocket: path }, handshake: believe };
}

function ended(stream: Duplex): Promise<Error | null> {
  return new Promise((resolve) => {
    stream.once("error", resolve);
    stream.once("close", () => resolve(null));
  });
}

describe("transport", () => {
  test("the socket, where it can be had", async () => {
    const link = await fixture.connect(await fixture.sshd());
    expect(link).toMatchObject({
      transport: "socket",
      address: "127.0.0.1",
      localAddress: "127.0.0.1",
      daemon: { protocol: expect.any(Number), nixVersion: expect.stringMatching(/^2\./) },
    });
    expect(await link.probe(5_000)).toBe(true);
  });

  test.each([
    ["forwarding is forbidden", ["AllowStreamLocalForwarding no"], {}],
    ["the socket is not there", [], { remoteSocket: "/nonexistent/socket" }],
    ["the configuration says so", [], { transport: "stdio" as const }],
  ])("stdio, where %s", async (_why, sshdConfig, config) => {
    const link = await fixture.connect(await fixture.sshd({ config: sshdConfig }), { config });
    expect(link.transport).toBe("stdio");
    expect(link.daemon.nixVersion).toMatch(/^2\./);
    expect(await link.probe(5_000)).toBe(true);
  });

  test("stdio, where the key may only run a forced nix-daemon --stdio", async () => {
    const options = `restrict,command="nix-daemon --stdio" ${fixture.key.publicKey}`;
    const link = await fixture.connect(await fixture.sshd({ authorizedKeys: [options] }));
    expect(link.transport).toBe("stdio");
    expect(await link.probe(5_000)).toBe(true);
  });

  test("neither: what each said, and what is needed", async () => {
    const sshd = await fixture.sshd({ env: { ...fixture.store.env, PATH: "/nonexistent" } });
    await expect(
      fixture.connect(sshd, { config: { remoteSocket: "/nonexistent/socket" } }),
    ).rejects.toMatchObject({
      code: "daemon-unreachable",
      message: expect.stringMatching(/socket: .*nonexistent.*; stdio: .*nix-daemon.*not found/s),
      remedy: expect.stringContaining("nix-users"),
    });
  });

  test("a chatty login shell does not pass for a daemon", async () => {
    const options = `command="echo hello; sleep 30" ${fixture.key.publicKey}`;
    const sshd = await fixture.sshd({ authorizedKeys: [options] });
    await expect(fixture.connect(sshd, { config: { transport: "stdio" } })).rejects.toMatchObject({
      code: "daemon-unreachable",
    });
  });
});

describe("streams", () => {
  test("many at once, more than an old daemon's backlog", async () => {
    const link = await fixture.connect(await fixture.sshd());
    const open = async (): Promise<string | null> =>
      (await handshakeDaemon(await link.openDaemon(), 10_000)).nixVersion;
    const versions = await Promise.all(Array.from({ length: 25 }, open));
    expect(new Set(versions).size).toBe(1);
  });

  test("a bounded number", async () => {
    const options = await listenOn("many.sock", () => undefined);
    const link = await fixture.connect(await fixture.sshd(), options);
    const streams = await Promise.all(Array.from({ length: 64 }, () => link.openDaemon()));
    await expect(link.openDaemon()).rejects.toMatchObject({ code: "channel-limit" });
    streams[0]?.destroy();
    await expect
      .poll(() =>
        link.openDaemon().then(
          () => "open",
          () => "full",
        ),
      )
      .toBe("open");
  });

  test("carry bytes unharmed both ways, slowly read, over rekeying, and half-close", async () => {
    const options = await listenOn("echo.sock", (socket) => socket.pipe(socket));
    const link = await fixture.connect(await fixture.sshd({ config: ["RekeyLimit 1M"] }), options);
    const stream = await link.openDaemon();
    const chunk = Buffer.from(Array.from({ length: 65_536 }, (_, index) => (index * 7) % 251));
    const count = 160;
    const write = async (): Promise<void> => {
      for (let index = 0; index < count; index += 1) {
        if (!stream.write(chunk)) await once(stream, "drain");
      }
      stream.end();
    };
    const read = async (): Promise<number> => {
      let total = 0;
      for await (const piece of stream as AsyncIterable<Buffer>) {
        const from = total % chunk.length;
        const expected = Buffer.concat([chunk, chunk]).subarray(from, from + piece.length);
        if (piece.length <= chunk.length && !piece.equals(expected)) throw new Error(`differs at ${total}`);
        if (total === 0) await sleep(300);
        total += piece.length;
      }
      return total;
    };
    const [total] = await Promise.all([read(), write()]);
    expect(total).toBe(count * chunk.length);
  });

  test("a write after the far side has closed fails", async () => {
    const sshd = await fixture.sshd({ authorizedKeys: [`command="printf bye" ${fixture.key.publicKey}`] });
    const link = await fixture.connect(sshd, { config: { transport: "stdio" }, handshake: believe });
    const stream = await link.openDaemon();
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    await once(stream, "end");
    expect(Buffer.concat(chunks).toString()).toBe("bye");
    await sleep(200);
    const failure = await new Promise((resolve) => stream.write("too late", resolve));
    expect(failure).toBeInstanceOf(Error);
  });

  test("destroying one closes it over there and leaves the others alone", async () => {
    const sockets: Socket[] = [];
    const options = await listenOn("several.sock", (socket) => sockets.push(socket.resume()));
    const link = await fixture.connect(await fixture.sshd(), options);
    const first = await link.openDaemon();
    await link.openDaemon();
    await expect.poll(() => sockets.length).toBeGreaterThanOrEqual(2);
    first.destroy();
    await expect.poll(() => sockets.filter((socket) => socket.readableEnded).length).toBe(1);
  });

  test("small pipelined requests do not wait for delayed ACKs", async () => {
    const options = await listenOn("ping.sock", (socket) => socket.pipe(socket));
    const link = await fixture.connect(await fixture.sshd(), options);
    const stream = await link.openDaemon();
    const started = performance.now();
    let rounds = 0;
    let got = 0;
    stream.write("ab");
    for await (const piece of stream as AsyncIterable<Buffer>) {
      got += piece.length;
      if (got < 2) continue;
      rounds += 1;
      got = 0;
      if (rounds === 50) break;
      stream.write("a");
      stream.write("b");
    }
    // 40 ms a round where Nagle's algorithm is on.
    expect(performance.now() - started).toBeLessThan(1_500);
  });
});

describe("the end", () => {
  test("a frozen machine is noticed within 10 s, and everything on the link fails", async () => {
    const sshd = await fixture.sshd();
    const link = await fixture.connect(sshd);
    const stream = await link.openDaemon();
    const failure = ended(stream);
    const frozen = performance.now();
    await sshd.kill("SIGSTOP");
    expect(await link.probe(500)).toBe(false);
    stream.write("into the void");
    expect(await link.closed).toMatchObject({ code: "link-lost" });
    expect(performance.now() - frozen).toBeLessThan(10_000);
    expect(await failure).toMatchObject({ code: "link-lost" });
    await expect(link.openDaemon()).rejects.toMatchObject({ code: "link-lost" });
    expect(stream.destroyed).toBe(true);
  });

  test("a frozen machine that comes back in time is not given up", async () => {
    const sshd = await fixture.sshd();
    const link = await fixture.connect(sshd);
    await sshd.kill("SIGSTOP");
    await sleep(2_000);
    await sshd.kill("SIGCONT");
    const outcome = await Promise.race([link.closed, sleep(8_000, "alive")]);
    expect(outcome).toBe("alive");
    expect(await link.probe(5_000)).toBe(true);
  });

  test("a killed sshd is noticed at once", async () => {
    const sshd = await fixture.sshd();
    const link = await fixture.connect(sshd);
    const failure = ended(await link.openDaemon());
    const killed = performance.now();
    await sshd.kill("SIGKILL");
    expect(await link.closed).toMatchObject({ code: "link-lost" });
    expect(performance.now() - killed).toBeLessThan(2_000);
    expect(await failure).toMatchObject({ code: "link-lost" });
    expect(await link.probe(1_000)).toBe(false);
  });

  test("close is heard by sshd, ends the streams, and may be called again", async () => {
    const sshd = await fixture.sshd();
    const link = await fixture.connect(sshd);
    const failure = ended(await link.openDaemon());
    const opening = link.openDaemon();
    opening.catch(() => undefined);
    link.close();
    link.close();
    expect(await link.closed).toMatchObject({ code: "link-closed" });
    expect(await failure).toMatchObject({ code: "link-closed" });
    await expect(opening).rejects.toMatchObject({ code: "link-closed" });
    await expect.poll(() => sshd.log()).toMatch(/Received disconnect|Connection closed/);
  });

  test("an attempt is called off, and a standing link is not", async () => {
    const sshd = await fixture.sshd();
    const abort = new AbortController();
    const never: ConnectOptions["handshake"] = () =>
      new Promise(() => setTimeout(() => abort.abort(new Error("off")), 50));
    await expect(fixture.connect(sshd, { signal: abort.signal, handshake: never })).rejects.toThrow("off");
    await expect.poll(() => sshd.log()).toMatch(/Connection (closed|reset)|Received disconnect/);
    const later = new AbortController();
    const link = await fixture.connect(sshd, { signal: later.signal });
    later.abort();
    expect(await link.probe(5_000)).toBe(true);
  });

  test("thirty links leave nothing behind", async () => {
    const sshd = await fixture.sshd();
    const wrong = { config: { user: "nobody-here" } };
    const round = async (): Promise<void> => {
      const link = await fixture.connect(sshd);
      const stream = await link.openDaemon();
      stream.write("x");
      link.close();
      await link.closed;
      await fixture.connect(sshd, wrong).catch(() => undefined);
    };
    const resources = async (): Promise<{ files: number; active: number }> => {
      await sleep(200);
      return {
        files: (await readdir("/proc/self/fd")).length,
        active: process.getActiveResourcesInfo().length,
      };
    };
    await round();
    const before = await resources();
    for (let index = 0; index < 30; index += 1) await round();
    const after = await resources();
    expect(after.files).toBeLessThanOrEqual(before.files + 2);
    expect(after.active).toBeLessThanOrEqual(before.active + 2);
  });
});
