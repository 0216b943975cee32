// NARs that outlive the link: one unbroken response over cuts, for as long as the machine may return, and no longer.

import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import { describe, expect, test } from "vitest";

import type { Gateway } from "../../src/gateway/gateway.js";
import { TetherError } from "../../src/util/errors.js";
import { big, delivering, lost, patient, range, size, timed, url } from "../support/cut-nar.js";
import { fakePath, fakeUpstream } from "../support/fake-upstream.js";
import { testGateway } from "../support/gateway.js";
import { ask } from "../support/http.js";

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
