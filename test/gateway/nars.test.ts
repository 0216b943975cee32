// NARs over real HTTP: whole, from an offset, broken, stalled, abandoned.

import { randomBytes } from "node:crypto";
import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

import { describe, expect, test } from "vitest";

import { TetherError } from "../../src/util/errors.js";
import { fakePath, fakeUpstream } from "../support/fake-upstream.js";
import { testGateway } from "../support/gateway.js";
import { ask } from "../support/http.js";
import { slowed } from "../support/wire.js";

const never = (): Promise<void> => new Promise<void>(() => undefined);
const big = fakePath("a", randomBytes(1_000_000));
const url = `/pi/${big.narUrl}`;
const range = (from: number): { headers: { range: string } } => ({ headers: { range: `bytes=${from}-` } });

/** Asks for a NAR and takes nothing of its body; `destroy` ends the connection. */
function askAndStall(port: number, path: string): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = http.get({ host: "127.0.0.1", port, path, agent: false }, resolve);
    request.on("error", reject);
  });
}

describe("a NAR", () => {
  test("comes whole, with its length, with no narinfo asked before", async () => {
    const gateway = await testGateway();
    const upstream = fakeUpstream(big);
    gateway.setUpstream("pi", upstream);
    const { status, headers, body } = await ask(gateway.port, url);
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      "content-type": "application/x-nix-nar",
      "content-length": "1000000",
      "accept-ranges": "bytes",
    });
    expect(body.equals(big.nar)).toBe(true);
    expect(gateway.stats("pi")).toMatchObject({ narBytes: 1_000_000, lookups: 0, resumed: 0 });
    expect(upstream.open).toBe(0);
    expect((await ask(gateway.port, `/pi/12/${big.narUrl}`)).body.equals(big.nar)).toBe(true);
    expect(upstream.asked).toEqual([big.hashPart]);
  });

  test("of a path that has another content now is not there", async () => {
    const gateway = await testGateway();
    gateway.setUpstream("pi", fakeUpstream(fakePath("a", "changed")));
    expect((await ask(gateway.port, url)).status).toBe(404);
  });

  test("is asked for anew when its narinfo is old", async () => {
    const gateway = await testGateway({ limits: { freshMs: 0 } });
    const upstream = fakeUpstream(big);
    gateway.setUpstream("pi", upstream);
    await ask(gateway.port, url);
    await sleep(5);
    upstream.paths.set(big.hashPart, fakePath("a", "rebuilt"));
    expect((await ask(gateway.port, url)).status).toBe(404);
    expect(upstream.opened).toBe(1);
  });

  test("HEAD tells its length and opens nothing", async () => {
    const gateway = await testGateway();
    const upstream = fakeUpstream(big);
    gateway.setUpstream("pi", upstream);
    const { status, headers } = await ask(gateway.port, url, { method: "HEAD" });
    expect([status, headers["content-length"]]).toEqual([200, "1000000"]);
    expect(upstream.opened).toBe(0);
  });

  test.each([0, 1, 65_535, 65_536, 65_537, 999_999])("comes from byte %d", async (from) => {
    const gateway = await testGateway();
    gateway.setUpstream("pi", fakeUpstream(big));
    const { status, headers, body } = await ask(gateway.port, url, range(from));
    expect(status).toBe(206);
    expect(headers["content-range"]).toBe(`bytes ${from}-999999/1000000`);
    expect(body.equals(big.nar.subarray(from))).toBe(true);
    expect(gateway.stats("pi")).toMatchObject({ narBytes: 1_000_000 - from, resumed: from > 0 ? 1 : 0 });
  });

  test.each([1_000_000, 1e15, 1e19])("from byte %d on is not there", async (from) => {
    const gateway = await testGateway();
    gateway.setUpstream("pi", fakeUpstream(big));
    expect((await ask(gateway.port, url, range(from))).status).toBe(404);
  });

  test("that the store no longer has is not there, and its narinfo is forgotten", async () => {
    const gateway = await testGateway();
    const upstream = fakeUpstream(big);
    gateway.setUpstream("pi", upstream);
    await ask(gateway.port, `/pi/${big.hashPart}.narinfo`);
    upstream.paths.clear();
    expect((await ask(gateway.port, url)).status).toBe(404);
    gateway.setUpstream("pi", null);
    expect((await ask(gateway.port, `/pi/${big.hashPart}.narinfo`)).status).toBe(404);
  });
});

describe("an upstream that breaks", () => {
  test("before the first byte: 404", async () => {
    const gateway = await testGateway();
    const upstream = fakeUpstream(big);
    upstream.breakAt = 0;
    gateway.setUpstream("pi", upstream);
    expect((await ask(gateway.port, url)).status).toBe(404);
    upstream.openNar = () => Promise.reject(new TetherError("link-lost", "gone"));
    expect((await ask(gateway.port, url)).status).toBe(404);
    expect(upstream.open).toBe(0);
  });

  test("in the middle: the connection ends, and the retry with a Range gets 404", async () => {
    const gateway = await testGateway();
    const upstream = fakeUpstream(big);
    upstream.breakAt = 300_000;
    gateway.setUpstream("pi", upstream);
    const first = await ask(gateway.port, url);
    expect([first.status, first.cut]).toEqual([200, true]);
    expect(first.body.equals(big.nar.subarray(0, first.body.length))).toBe(true);
    upstream.breakAt = Infinity;
    expect((await ask(gateway.port, url, range(first.body.length))).status).toBe(404);
    expect((await ask(gateway.port, url, { method: "HEAD" })).status).toBe(404);
    expect(upstream.open).toBe(0);
  });

  test("a new upstream ends that: the retry goes on where it was cut", async () => {
    const gateway = await testGateway();
    const upstream = fakeUpstream(big);
    upstream.breakAt = 300_000;
    gateway.setUpstream("pi", upstream);
    const first = await ask(gateway.port, url);
    gateway.setUpstream("pi", null);
    gateway.setUpstream("pi", fakeUpstream(big));
    const rest = await ask(gateway.port, url, range(first.body.length));
    expect(rest.status).toBe(206);
    expect(Buffer.concat([first.body, rest.body]).equals(big.nar)).toBe(true);
    expect(gateway.stats("pi").resumed).toBe(1);
  });

  test("time ends it, too", async () => {
    const gateway = await testGateway({ limits: { tombstoneMs: 50 } });
    const upstream = fakeUpstream(big);
    upstream.breakAt = 300_000;
    gateway.setUpstream("pi", upstream);
    await ask(gateway.port, url);
    upstream.breakAt = Infinity;
    await expect.poll(async () => (await ask(gateway.port, url)).status).toBe(200);
  });

  test("a NAR of another length than told is cut, not completed", async () => {
    for (const narSize of [999_999, 1_000_001]) {
      const gateway = await testGateway();
      const upstream = fakeUpstream({ ...big, info: { ...big.info, narSize } });
      gateway.setUpstream("pi", upstream);
      const { status, cut } = await ask(gateway.port, url);
      expect([status, cut]).toEqual([200, true]);
      expect(upstream.open).toBe(0);
      expect((await ask(gateway.port, url)).status).toBe(404);
    }
    const gateway = await testGateway();
    gateway.setUpstream("pi", fakeUpstream({ ...big, nar: Buffer.alloc(0) }));
    expect((await ask(gateway.port, url)).status).toBe(404);
  });

  test("taken away in the middle: the connection ends at once and its stream is freed", async () => {
    const gateway = await testGateway();
    const upstream = fakeUpstream(big);
    upstream.stallAt = 300_000;
    gateway.setUpstream("pi", upstream);
    const running = ask(gateway.port, url);
    await expect.poll(() => gateway.stats("pi").narBytes).toBe(300_000);
    gateway.setUpstream("pi", null);
    expect((await running).cut).toBe(true);
    expect(upstream.open).toBe(0);
  });

  test("silent before the first byte: 404; silent in the middle: cut; never silence", async () => {
    const gateway = await testGateway({ limits: { narFirstByteMs: 100, narStallMs: 100 } });
    const upstream = fakeUpstream(big);
    gateway.setUpstream("pi", upstream);
    upstream.stallAt = 0;
    expect((await ask(gateway.port, url)).status).toBe(404);
    upstream.stallAt = 300_000;
    const { status, cut, body } = await ask(gateway.port, url);
    expect([status, cut, body.length]).toEqual([200, true, 300_000]);
    upstream.beforeNar = never;
    gateway.setUpstream("pi", null);
    gateway.setUpstream("pi", upstream);
    expect((await ask(gateway.port, url)).status).toBe(404);
    expect(upstream.open).toBe(0);
  });

  test("a NAR that waits its turn is not given up while another one advances", async () => {
    const gateway = await testGateway({ limits: { narFirstByteMs: 150 } });
    const slow = fakePath("b", randomBytes(20 * 65_536));
    const upstream = fakeUpstream(big, slow);
    gateway.setUpstream("pi", upstream);
    const openNar = upstream.openNar.bind(upstream);
    let turn = (): void => undefined;
    const busy = new Promise<void>((resolve) => (turn = resolve));
    upstream.openNar = async (info, signal) => {
      if (info.path === big.info.path) await busy;
      const nar = await openNar(info, signal);
      return info.path === slow.info.path ? slowed(nar, 25) : nar;
    };
    const [first, second] = await Promise.all([
      ask(gateway.port, `/pi/${slow.narUrl}`).finally(() => turn()),
      ask(gateway.port, url),
    ]);
    expect([first.status, second.status]).toEqual([200, 200]);
    expect(second.body.equals(big.nar)).toBe(true);
  });
});

describe("a client", () => {
  test("that takes nothing makes the gateway read little, and gets everything once it does", async () => {
    const gateway = await testGateway();
    const huge = fakePath("b", Buffer.alloc(64 * 2 ** 20, "x"));
    const upstream = fakeUpstream(huge);
    gateway.setUpstream("pi", upstream);
    const response = await askAndStall(gateway.port, `/pi/${huge.narUrl}`);
    await sleep(300);
    // The kernel's buffers for loopback take some megabytes.
    expect(upstream.bytesRead).toBeLessThan(24 * 2 ** 20);
    let taken = 0;
    for await (const piece of response) taken += (piece as Buffer).length;
    expect(taken).toBe(huge.nar.length);
  });

  test("that goes away frees the upstream, in the middle and before the first byte", async () => {
    const gateway = await testGateway();
    const upstream = fakeUpstream(big);
    gateway.setUpstream("pi", upstream);
    upstream.stallAt = 300_000;
    const response = await askAndStall(gateway.port, url);
    expect(upstream.open).toBe(1);
    response.destroy();
    await expect.poll(() => upstream.open).toBe(0);
    // It broke nothing: no tombstone.
    expect((await ask(gateway.port, url, { method: "HEAD" })).status).toBe(200);

    let signal: AbortSignal | undefined;
    upstream.openNar = (_info, given) => {
      signal = given;
      return new Promise(() => undefined);
    };
    const request = http.get({ host: "127.0.0.1", port: gateway.port, path: url, agent: false });
    request.on("error", () => undefined);
    await expect.poll(() => signal).toBeDefined();
    request.destroy();
    await expect.poll(() => signal?.aborted).toBe(true);
  });

  test("that takes nothing for a while frees the upstream, and goes on when it takes again", async () => {
    const gateway = await testGateway({ limits: { clientIdleMs: 100 } });
    const huge = fakePath("b", Buffer.alloc(64 * 2 ** 20, "x"));
    const upstream = fakeUpstream(huge);
    gateway.setUpstream("pi", upstream);
    const response = await askAndStall(gateway.port, `/pi/${huge.narUrl}`);
    await expect.poll(() => upstream.open).toBe(0);
    let taken = 0;
    for await (const piece of response) taken += (piece as Buffer).length;
    expect(taken).toBe(huge.nar.length);
    expect(gateway.stats("pi")).toMatchObject({ resumed: 1, abandoned: 0 });
  });

  test("that rests far in a NAR keeps the upstream, until another one waits for it", async () => {
    const gateway = await testGateway({ limits: { clientIdleMs: 100, repeatableBytes: 100_000 } });
    const huge = fakePath("b", Buffer.alloc(64 * 2 ** 20, "x"));
    const upstream = fakeUpstream(huge, big);
    gateway.setUpstream("pi", upstream);
    const response = await askAndStall(gateway.port, `/pi/${huge.narUrl}`);
    await sleep(500);
    expect(upstream).toMatchObject({ open: 1, opened: 1 });
    let [opened, begin] = [false, (): void => undefined];
    upstream.beforeNar = () => {
      opened = true;
      return new Promise((resolve) => (begin = resolve));
    };
    const other = ask(gateway.port, url);
    await expect.poll(() => opened).toBe(true);
    await expect.poll(() => upstream.open).toBe(0);
    begin();
    expect((await other).status).toBe(200);
    upstream.beforeNar = () => Promise.resolve();
    let taken = 0;
    for await (const piece of response) taken += (piece as Buffer).length;
    expect(taken).toBe(huge.nar.length);
  });

  test("that takes nothing for too long loses its connection, and may come again", async () => {
    const gateway = await testGateway({ limits: { clientStallMs: 200 } });
    const huge = fakePath("b", Buffer.alloc(64 * 2 ** 20, "x"));
    const upstream = fakeUpstream(huge);
    gateway.setUpstream("pi", upstream);
    const response = await askAndStall(gateway.port, `/pi/${huge.narUrl}`);
    response.on("error", () => undefined);
    await expect.poll(() => upstream.open).toBe(0);
    const again = await ask(gateway.port, `/pi/${huge.narUrl}`, range(60 * 2 ** 20));
    expect([again.status, again.body.length]).toEqual([206, 4 * 2 ** 20]);
  });
});
