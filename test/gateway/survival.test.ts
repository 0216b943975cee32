// NARs that outlive the link: one unbroken response over cuts, for as long as the machine may return, and no longer.

import { randomBytes } from "node:crypto";
import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

import { describe, expect, test } from "vitest";

import type { Gateway } from "../../src/gateway/gateway.js";
import { TetherError } from "../../src/util/errors.js";
import { fakePath, fakeUpstream, type FakeUpstream } from "../support/fake-upstream.js";
import { testGateway } from "../support/gateway.js";
import { ask } from "../support/http.js";

const size = 1_000_000;
const big = fakePath("a", randomBytes(size));
const url = `/pi/${big.narUrl}`;
const narinfo = `/pi/${big.hashPart}.narinfo`;
const range = (from: number): { headers: { range: string } } => ({ headers: { range: `bytes=${from}-` } });
const lost = { mayReturn: true };

const patient = (resumeMs = 10_000): Promise<Gateway> => testGateway({ limits: { resumeMs } });

/** A gateway that has begun to deliver `big` and is kept waiting at byte `at`. */
async function delivering(
  at: number,
  resumeMs?: number,
): Promise<{ gateway: Gateway; upstream: FakeUpstream; running: ReturnType<typeof ask> }> {
  const gateway = await patient(resumeMs);
  const upstream = fakeUpstream(big);
  upstream.stallAt = at;
  gateway.setUpstream("pi", upstream);
  const running = ask(gateway.port, url);
  await expect.poll(() => upstream.opened).toBe(1);
  await expect.poll(() => gateway.stats("pi").narBytes).toBe(at);
  return { gateway, upstream, running };
}

async function timed<T>(work: Promise<T>): Promise<[T, number]> {
  const begun = performance.now();
  return [await work, performance.now() - begun];
}

describe("a cut NAR goes on in the same response", () => {
  test.each([0, 1, 65_536, 300_001, size - 1])("at byte %d, when the machine returns", async (at) => {
    const { gateway, upstream, running } = await delivering(at);
    gateway.setUpstream("pi", null, lost);
    await expect.poll(() => upstream.open).toBe(0);
    await sleep(30);
    const next = fakeUpstream(big);
    gateway.setUpstream("pi", next);
    const { status, cut, body } = await running;
    expect([status, cut]).toEqual([200, false]);
    expect(body.equals(big.nar)).toBe(true);
    expect(next.bytesRead).toBe(size - at);
    expect(gateway.stats("pi")).toMatchObject({ narBytes: size, resumed: at > 0 ? 1 : 0 });
    expect(next.open).toBe(0);
  });

  test("with an upstream that takes the place of the other at once", async () => {
    const { gateway, running } = await delivering(300_000);
    gateway.setUpstream("pi", fakeUpstream(big));
    expect((await running).body.equals(big.nar)).toBe(true);
  });

  test("when only its own connection broke", async () => {
    const gateway = await patient();
    const upstream = fakeUpstream(big);
    upstream.breakAt = 300_000;
    gateway.setUpstream("pi", upstream);
    const running = ask(gateway.port, url);
    await expect.poll(() => gateway.stats("pi").narBytes).toBe(300_000);
    upstream.breakAt = Infinity;
    expect((await running).body.equals(big.nar)).toBe(true);
    expect(gateway.stats("pi").resumed).toBe(1);
  });

  test("when the machine falls silent and a fresh connection is answered", async () => {
    const gateway = await testGateway({ limits: { resumeMs: 10_000, narStallMs: 50 } });
    const upstream = fakeUpstream(big);
    upstream.stallAt = 300_000;
    gateway.setUpstream("pi", upstream);
    const running = ask(gateway.port, url);
    await expect.poll(() => gateway.stats("pi").narBytes).toBe(300_000);
    upstream.stallAt = Infinity;
    expect((await running).body.equals(big.nar)).toBe(true);
  });

  test("again and again, where each connection carries no more than a few bytes", async () => {
    const gateway = await patient();
    const upstream = fakeUpstream(big);
    upstream.breakAfter = 90_000;
    gateway.setUpstream("pi", upstream);
    const { cut, body } = await ask(gateway.port, url);
    expect(cut).toBe(false);
    expect(body.equals(big.nar)).toBe(true);
    expect(upstream.opened).toBe(Math.ceil(size / 90_000));
    expect(upstream.bytesRead).toBe(size);
    expect(gateway.stats("pi").resumed).toBe(1);
  });

  test("from a machine that cannot begin in the middle", async () => {
    const { gateway, running } = await delivering(700_000);
    gateway.setUpstream("pi", null, lost);
    const next = fakeUpstream(big);
    next.seeks = false;
    gateway.setUpstream("pi", next);
    expect((await running).body.equals(big.nar)).toBe(true);
    expect(next.bytesRead).toBe(size);
  });

  test("that broke after its last byte is over", async () => {
    const gateway = await patient();
    const upstream = fakeUpstream(big);
    upstream.breakAt = size;
    gateway.setUpstream("pi", upstream);
    const { cut, body } = await ask(gateway.port, url);
    expect([cut, body.equals(big.nar)]).toEqual([false, true]);
    expect((await ask(gateway.port, url)).status).toBe(200);
    expect(upstream.opened).toBe(2);
  });

  test("that began in the middle itself", async () => {
    const gateway = await patient();
    const upstream = fakeUpstream(big);
    upstream.breakAfter = 200_000;
    gateway.setUpstream("pi", upstream);
    const { status, body } = await ask(gateway.port, url, range(100_000));
    expect(status).toBe(206);
    expect(body.equals(big.nar.subarray(100_000))).toBe(true);
    expect(gateway.stats("pi").resumed).toBe(1);
  });

  test("together with many others", async () => {
    const gateway = await patient();
    const paths = [..."abcdfghijklmnpqr"].map((letter) => fakePath(letter, randomBytes(400_000)));
    const first = fakeUpstream(...paths);
    first.stallAt = 150_000;
    gateway.setUpstream("pi", first);
    const running = Promise.all(paths.map((path) => ask(gateway.port, `/pi/${path.narUrl}`)));
    await expect.poll(() => gateway.stats("pi").narBytes).toBe(paths.length * 150_000);
    gateway.setUpstream("pi", null, lost);
    const next = fakeUpstream(...paths);
    gateway.setUpstream("pi", next);
    const answers = await running;
    for (const [i, { body }] of answers.entries()) expect(body.equals(paths[i]?.nar as Buffer)).toBe(true);
    expect(gateway.stats("pi").resumed).toBe(paths.length);
    expect([first.open, next.open]).toEqual([0, 0]);
  });
});

describe("a cut NAR is given up", () => {
  /** The response is cut, and Nix's retry is told "not here" at once. */
  async function expectGivenUp(gateway: Gateway, running: ReturnType<typeof ask>): Promise<void> {
    const { status, cut, body } = await running;
    expect([status, cut]).toEqual([200, true]);
    expect(body.equals(big.nar.subarray(0, body.length))).toBe(true);
    const [retry, ms] = await timed(ask(gateway.port, url, range(body.length)));
    expect(retry.status).toBe(404);
    expect(ms).toBeLessThan(500);
    expect((await ask(gateway.port, url)).status).toBe(404);
  }

  test("when the machine does not return in time", async () => {
    const { gateway, running } = await delivering(300_000, 400);
    gateway.setUpstream("pi", null, lost);
    const [, ms] = await timed(running);
    expect(ms).toBeGreaterThan(350);
    await expectGivenUp(gateway, running);
  });

  test("at once where nobody waits for it: paused, or stopped", async () => {
    const { gateway, running } = await delivering(300_000);
    gateway.setUpstream("pi", null);
    const [, ms] = await timed(running);
    expect(ms).toBeLessThan(1_000);
    await expectGivenUp(gateway, running);
  });

  test("as soon as nobody waits any more", async () => {
    const { gateway, running } = await delivering(300_000);
    gateway.setUpstream("pi", null, lost);
    await sleep(50);
    gateway.setUpstream("pi", null, { mayReturn: false });
    await expectGivenUp(gateway, running);
  });

  test.each([
    ["has another content now", [fakePath("a", "rebuilt")]],
    ["is no longer there", []],
  ])("when the path %s", async (_what, paths) => {
    const { gateway, running } = await delivering(300_000);
    gateway.setUpstream("pi", null, lost);
    const next = fakeUpstream(...paths);
    gateway.setUpstream("pi", next);
    await expectGivenUp(gateway, running);
    expect(next.opened).toBe(0);
  });

  test.each(["nar-damaged", "not-valid"])("when the store itself says so (%s)", async (code) => {
    const { gateway, running } = await delivering(300_000);
    const next = fakeUpstream(big);
    next.openNarFrom = () => Promise.reject(new TetherError(code, "no"));
    gateway.setUpstream("pi", next);
    await expectGivenUp(gateway, running);
  });

  test("when every try breaks at the same byte", async () => {
    const gateway = await testGateway({ limits: { resumeMs: 10_000, narTries: 3 } });
    const upstream = fakeUpstream(big);
    upstream.breakAt = 300_000;
    gateway.setUpstream("pi", upstream);
    await expectGivenUp(gateway, ask(gateway.port, url));
    expect(upstream.opened).toBe(3);
  });

  test("when it begins anew each time and never gets further", async () => {
    const gateway = await testGateway({ limits: { resumeMs: 10_000, narTries: 3 } });
    const upstream = fakeUpstream(big);
    upstream.seeks = false;
    upstream.breakAfter = 300_000;
    gateway.setUpstream("pi", upstream);
    await expectGivenUp(gateway, ask(gateway.port, url));
  });

  test("when the gateway closes, which does not wait for it", async () => {
    const { gateway, running } = await delivering(300_000);
    gateway.setUpstream("pi", null, lost);
    const asking = ask(gateway.port, `/pi/nar/${"b".repeat(32)}-${"1".repeat(52)}.nar`);
    await sleep(50);
    const [, ms] = await timed(gateway.close(5_000));
    expect(ms).toBeLessThan(2_000);
    expect((await running).cut).toBe(true);
    expect((await asking).status).toBe(404);
  });
});

describe("while the machine is being looked for", () => {
  test("a NAR waits for it", async () => {
    const gateway = await patient();
    gateway.setUpstream("pi", fakeUpstream(big));
    gateway.setUpstream("pi", null, lost);
    const whole = ask(gateway.port, url);
    const end = ask(gateway.port, url, range(size - 10));
    const head = ask(gateway.port, url, { method: "HEAD" });
    const absent = ask(gateway.port, `/pi/nar/${"b".repeat(32)}-${"1".repeat(52)}.nar`);
    await sleep(50);
    gateway.setUpstream("pi", fakeUpstream(big));
    expect((await whole).body.equals(big.nar)).toBe(true);
    expect([(await end).status, (await end).body.length]).toEqual([206, 10]);
    expect((await head).headers["content-length"]).toBe(String(size));
    expect((await absent).status).toBe(404);
  });

  test("a NAR waits also where the lookup before it was cut off", async () => {
    const gateway = await patient();
    const upstream = fakeUpstream(big);
    upstream.beforeLookup = () => new Promise(() => undefined);
    gateway.setUpstream("pi", upstream);
    const running = ask(gateway.port, url);
    await expect.poll(() => upstream.asked.length).toBe(1);
    gateway.setUpstream("pi", null, lost);
    await sleep(2_200);
    gateway.setUpstream("pi", fakeUpstream(big));
    expect((await running).body.equals(big.nar)).toBe(true);
  });

  test("also before it was there at all: a daemon that was restarted in the middle of a build", async () => {
    const gateway = await patient();
    const running = ask(gateway.port, url, range(400_000));
    const looking = ask(gateway.port, narinfo);
    await sleep(50);
    gateway.setUpstream("pi", fakeUpstream(big));
    const { status, body } = await running;
    expect(status).toBe(206);
    expect(body.equals(big.nar.subarray(400_000))).toBe(true);
    expect((await looking).status).toBe(200);
  });

  test("a NAR waits for the rest of the time only, and then is not there", async () => {
    const gateway = await patient(600);
    gateway.setUpstream("pi", fakeUpstream(big));
    gateway.setUpstream("pi", null, lost);
    await sleep(300);
    const [first, ms] = await timed(ask(gateway.port, url));
    expect(first.status).toBe(404);
    expect(ms).toBeLessThan(450);
    const [second, later] = await timed(ask(gateway.port, url));
    expect(second.status).toBe(404);
    expect(later).toBeLessThan(250);
  });

  test("an unknown path waits no longer than any lookup; a known one is told at once", async () => {
    const gateway = await patient();
    gateway.setUpstream("pi", fakeUpstream(big));
    expect((await ask(gateway.port, narinfo)).status).toBe(200);
    gateway.setUpstream("pi", null, lost);
    const [known, quick] = await timed(ask(gateway.port, narinfo));
    expect([known.status, quick < 500]).toEqual([200, true]);
    const [unknown, ms] = await timed(ask(gateway.port, `/pi/${"b".repeat(32)}.narinfo`));
    expect(unknown.status).toBe(404);
    expect(ms).toBeGreaterThan(1_500);
    expect(ms).toBeLessThan(2_300);
  });

  test("many unknown paths, one after the other, wait no longer than one", async () => {
    const gateway = await testGateway({ limits: { resumeMs: 10_000, lookupReturnMs: 300 } });
    gateway.setUpstream("pi", fakeUpstream(big));
    gateway.setUpstream("pi", null, lost);
    const begun = performance.now();
    for (const letter of "bcdfghij") {
      expect((await ask(gateway.port, `/pi/${letter.repeat(32)}.narinfo`)).status).toBe(404);
    }
    expect(performance.now() - begun).toBeLessThan(1_000);
    // A NAR is worth more: it still waits.
    const running = ask(gateway.port, url);
    gateway.setUpstream("pi", fakeUpstream(big));
    expect((await running).status).toBe(200);
  });

  test("a client that leaves is waited for by nobody", async () => {
    const { gateway, running } = await delivering(300_000);
    gateway.setUpstream("pi", null, lost);
    const request = http.get({ host: "127.0.0.1", port: gateway.port, path: url, agent: false });
    request.on("error", () => undefined);
    await sleep(50);
    request.destroy();
    await sleep(50);
    const next = fakeUpstream(big);
    gateway.setUpstream("pi", next);
    expect((await running).body.equals(big.nar)).toBe(true);
    expect(next.opened).toBe(1);
    expect(next.open).toBe(0);
  });

  test("a client that leaves in the middle of its cut NAR leaves nothing behind", async () => {
    const gateway = await patient();
    const upstream = fakeUpstream(big);
    upstream.stallAt = 300_000;
    gateway.setUpstream("pi", upstream);
    const request = http.get({ host: "127.0.0.1", port: gateway.port, path: url, agent: false });
    request
      .on("error", () => undefined)
      .on("response", (response) => {
        response.on("error", () => undefined).resume();
      });
    await expect.poll(() => gateway.stats("pi").narBytes).toBe(300_000);
    gateway.setUpstream("pi", null, lost);
    request.destroy();
    await sleep(50);
    const next = fakeUpstream(big);
    gateway.setUpstream("pi", next);
    await sleep(50);
    expect([upstream.open, next.opened]).toEqual([0, 0]);
    expect((await ask(gateway.port, url)).body.equals(big.nar)).toBe(true);
  });
});
