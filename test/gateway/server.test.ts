// The server around the answers: strange requests, foreign hosts and users, ports, and its end.

import { randomBytes } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";

import * as fc from "fast-check";
import { pino } from "pino";
import { describe, expect, onTestFinished, test } from "vitest";

import { createGateway } from "../../src/gateway/gateway.js";
import { fakePath, fakeUpstream } from "../support/fake-upstream.js";
import { testGateway } from "../support/gateway.js";
import { ask, exchange } from "../support/http.js";

const path = fakePath("a");
const statusOf = (text: string): string | undefined => /^HTTP\/1\.1 (\d+)/.exec(text)?.[1];

describe("strange requests", () => {
  test("any URL and method is 404, and the gateway lives on", async () => {
    const gateway = await testGateway();
    gateway.setUpstream("pi", fakeUpstream(path));
    const segment = fc.oneof(
      fc.constantFrom("pi", "3", "16", "nar", "..", "", "nix-cache-info.", path.hashPart, "log"),
      fc.webSegment(),
      fc.stringMatching(/^[!-~]{1,40}$/),
    );
    const url = fc.array(segment, { maxLength: 5 }).map((segments) => `/x${segments.join("/")}`);
    const method = fc.constantFrom("GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH");
    await fc.assert(
      fc.asyncProperty(method, url, async (verb, target) => {
        expect((await ask(gateway.port, target, { method: verb })).status).toBe(404);
      }),
      { numRuns: 200 },
    );
    expect((await ask(gateway.port, "/pi/nix-cache-info")).status).toBe(200);
  });

  test("any bytes are 404 or an ended connection, never another error", async () => {
    const gateway = await testGateway();
    const line = fc.stringMatching(/^[ -~]{0,60}$/);
    const text = fc.array(line, { maxLength: 6 }).map((lines) => `${lines.join("\r\n")}\r\n\r\n`);
    await fc.assert(
      fc.asyncProperty(text, async (bytes) => {
        expect([undefined, "404"]).toContain(statusOf(await exchange(gateway.port, bytes, 200)));
      }),
      { numRuns: 50 },
    );
    expect((await ask(gateway.port, "/pi/nix-cache-info")).status).toBe(200);
  });

  const host = "Host: 127.0.0.1\r\n";
  test.each([
    ["no HTTP", "hello\r\n\r\n"],
    ["no Host", "GET /pi/nix-cache-info HTTP/1.1\r\n\r\n"],
    ["a header line too long", `GET / HTTP/1.1\r\n${host}X: ${"x".repeat(20_000)}\r\n\r\n`],
    ["a URL too long", `GET /pi/${"x".repeat(20_000)} HTTP/1.1\r\n${host}\r\n`],
    ["CONNECT", "CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\n\r\n"],
    ["Expect", `GET /pi/no HTTP/1.1\r\n${host}Expect: 100-continue\r\n\r\n`],
    ["an unknown Expect", `GET /pi/no HTTP/1.1\r\n${host}Expect: cake\r\n\r\n`],
    ["Upgrade", `GET /pi/no HTTP/1.1\r\n${host}Connection: upgrade\r\nUpgrade: websocket\r\n\r\n`],
    ["an absolute URL", `GET http://127.0.0.1/pi/nix-cache-info HTTP/1.1\r\n${host}\r\n`],
    ["a bad length", `PUT /pi/nix-cache-info HTTP/1.1\r\n${host}Content-Length: -1\r\n\r\n`],
  ])("%s is 404", async (_what, bytes) => {
    const gateway = await testGateway();
    expect(statusOf(await exchange(gateway.port, bytes, 500))).toBe("404");
  });

  test("a body is dropped", async () => {
    const gateway = await testGateway();
    const body = randomBytes(300_000);
    expect((await ask(gateway.port, "/pi/nix-cache-info", { method: "PUT", body })).status).toBe(404);
    const headers = { "content-length": body.length };
    expect((await ask(gateway.port, "/pi/nix-cache-info", { body, headers })).status).toBe(200);
  });

  test("rubbish behind a request does not get among a NAR's bytes", async () => {
    const gateway = await testGateway();
    const big = fakePath("b", randomBytes(1_000_000));
    const upstream = fakeUpstream(big);
    upstream.stallAt = 300_000;
    gateway.setUpstream("pi", upstream);
    const socket = net.connect(gateway.port, "127.0.0.1");
    onTestFinished(() => void socket.destroy());
    let got = "";
    socket.on("error", () => undefined).on("data", (piece: Buffer) => (got += piece.toString("latin1")));
    socket.write(`GET /pi/${big.narUrl} HTTP/1.1\r\n${host}\r\n`);
    await expect.poll(() => got.length).toBeGreaterThan(300_000);
    socket.write("rubbish\r\n\r\n");
    await once(socket, "close");
    expect(got.match(/HTTP\/1\.1/g)).toHaveLength(1);
  });
});

test.each(["evil.example", "evil.example:80", "127.0.0.1.evil.example", "[::1]:80"])(
  "a request for the host %s is 404 and ends the connection",
  async (host) => {
    const gateway = await testGateway();
    const { status, headers } = await ask(gateway.port, "/pi/nix-cache-info", { headers: { host } });
    expect([status, headers.connection]).toEqual([404, "close"]);
  },
);

describe("who is at the other end", () => {
  test("is asked once a connection; root and the own user are answered, others 403, nobody known 404", async () => {
    let asked = 0;
    const peers = [
      () => Promise.resolve(1001),
      () => Promise.reject(new Error("no table")),
      () => new Promise<number>(() => undefined),
      () => Promise.resolve(0),
    ];
    const gateway = await testGateway({
      ownUid: 1000,
      peerUid: () => (peers[asked++] ?? (() => Promise.resolve(1000)))(),
      limits: { peerCheckMs: 50 },
    });
    for (const expected of [403, 404, 404, 200]) {
      const { status, headers } = await ask(gateway.port, "/pi/nix-cache-info");
      expect(status).toBe(expected);
      if (expected !== 200) expect(headers.connection).toBe("close");
    }
    const twice = "GET /pi/nix-cache-info HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(2);
    expect((await exchange(gateway.port, twice, 300)).match(/HTTP\/1\.1 200/g)).toHaveLength(2);
    expect(asked).toBe(5);
  });
});

describe("listening", () => {
  test("a port that is taken is told with its holder, and had once it is free", async () => {
    const holder = net.createServer().listen(0, "127.0.0.1");
    await once(holder, "listening");
    onTestFinished(() => void holder.close());
    const { port } = holder.address() as net.AddressInfo;
    const gateway = createGateway({ caches: [], log: pino({ level: "silent" }) });
    onTestFinished(() => gateway.close(0));
    await expect(gateway.listen({ port })).rejects.toMatchObject({
      code: "gateway-port-taken",
      message: expect.stringContaining(`(process ${process.pid})`),
      remedy: expect.stringContaining("[gateway]"),
    });

    holder.close();
    await once(holder, "close");
    await gateway.listen({ port });
    expect((await ask(port, "/nobody/nix-cache-info")).status).toBe(404);
  });
});

describe("closing", () => {
  test("lets a running NAR finish, refuses new connections, ends idle ones", async () => {
    const gateway = await testGateway();
    const big = fakePath("b", randomBytes(1_000_000));
    const upstream = fakeUpstream(big);
    let go = (): void => undefined;
    upstream.beforeNar = () => new Promise((resolve) => (go = resolve));
    gateway.setUpstream("pi", upstream);
    const idle = exchange(gateway.port, "GET /pi/nix-cache-info HTTP/1.1\r\nHost: localhost\r\n\r\n", 5_000);
    const running = ask(gateway.port, `/pi/${big.narUrl}`, { headers: { connection: "keep-alive" } });
    await expect.poll(() => upstream.asked.length).toBe(1);
    const closed = gateway.close(5_000);
    await expect(ask(gateway.port, "/pi/nix-cache-info")).rejects.toThrow("ECONNREFUSED");
    expect(statusOf(await idle)).toBe("200");
    go();
    expect((await running).body.equals(big.nar)).toBe(true);
    await closed;
  });

  test("ends what is not done after the grace", async () => {
    const gateway = await testGateway();
    const big = fakePath("b", randomBytes(1_000_000));
    const upstream = fakeUpstream(big);
    upstream.stallAt = 300_000;
    gateway.setUpstream("pi", upstream);
    const running = ask(gateway.port, `/pi/${big.narUrl}`);
    await expect.poll(() => gateway.stats("pi").narBytes).toBe(300_000);
    await Promise.all([gateway.close(50), gateway.close(50)]);
    expect((await running).cut).toBe(true);
    await expect.poll(() => upstream.open).toBe(0);
  });
});

test("sixteen Nix commands with all their connections are answered at once", async () => {
  const gateway = await testGateway();
  gateway.setUpstream("pi", fakeUpstream(path));
  const agent = new http.Agent({ keepAlive: true });
  onTestFinished(() => agent.destroy());
  const answers = Array.from({ length: 16 * 25 }, () => ask(gateway.port, "/pi/nix-cache-info", { agent }));
  expect(new Set((await Promise.all(answers)).map(({ status }) => status))).toEqual(new Set([200]));
  // They stay open, and one more finds its place.
  expect((await ask(gateway.port, `/pi/${path.hashPart}.narinfo`)).status).toBe(200);
});
