// Requests that come while the machine is being looked for: what waits for it, how long, and what does not.

import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

import { describe, expect, test } from "vitest";

import { big, delivering, lost, patient, range, size, timed, url } from "../support/cut-nar.js";
import { fakeUpstream } from "../support/fake-upstream.js";
import { testGateway } from "../support/gateway.js";
import { ask } from "../support/http.js";

const narinfo = `/pi/${big.hashPart}.narinfo`;

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
