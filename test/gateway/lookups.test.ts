// nix-cache-info and narinfos over real HTTP: who is asked, what memory answers, and that there is always an answer.

import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

import { describe, expect, test } from "vitest";

import { fakePath, fakeUpstream } from "../support/fake-upstream.js";
import { testGateway } from "../support/gateway.js";
import { ask } from "../support/http.js";
import { slowed } from "../support/wire.js";

const never = (): Promise<void> => new Promise<void>(() => undefined);
const path = fakePath("a");
const narinfo = `/pi/${path.hashPart}.narinfo`;

describe("nix-cache-info", () => {
  test("is there whether the cache is or not, at every generation", async () => {
    const { port } = await testGateway();
    for (const url of ["/pi/nix-cache-info", "/pi/0/nix-cache-info", "/pi/15/nix-cache-info"]) {
      const { status, body } = await ask(port, url);
      expect(status).toBe(200);
      expect(body.toString()).toBe("StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n");
    }
  });

  test("of a cache that is not configured is not there", async () => {
    const { port } = await testGateway();
    expect((await ask(port, "/nas/nix-cache-info")).status).toBe(404);
    expect((await ask(port, "/__proto__/nix-cache-info")).status).toBe(404);
  });
});

describe("narinfo", () => {
  test("tells what the upstream has, 404 what it has not", async () => {
    const gateway = await testGateway();
    gateway.setUpstream("pi", fakeUpstream(path));
    const hit = await ask(gateway.port, narinfo);
    expect(hit.status).toBe(200);
    expect(hit.headers["content-type"]).toBe("text/x-nix-narinfo");
    expect(hit.body.toString()).toContain(`StorePath: ${path.info.path}\nURL: ${path.narUrl}\n`);
    expect((await ask(gateway.port, `/pi/7/${path.hashPart}.narinfo`)).body).toEqual(hit.body);
    expect((await ask(gateway.port, `/pi/${"b".repeat(32)}.narinfo`)).status).toBe(404);
    expect(gateway.stats("pi")).toMatchObject({ lookups: 3, hits: 2, unsigned: 0 });
  });

  test("what is certain not to be there costs no question", async () => {
    const gateway = await testGateway();
    const absent = "b".repeat(32);
    const upstream = { ...fakeUpstream(path), isAbsent: (hashPart: string) => hashPart === absent };
    gateway.setUpstream("pi", upstream);
    expect((await ask(gateway.port, `/pi/${absent}.narinfo`)).status).toBe(404);
    expect((await ask(gateway.port, narinfo)).status).toBe(200);
    expect(upstream.asked).toEqual([path.hashPart]);
    expect(gateway.stats("pi")).toMatchObject({ lookups: 2, hits: 1 });
    expect(gateway.recent("pi", absent).answers).toMatchObject([{ outcome: "absent" }]);
  });

  test("HEAD says the same without a body", async () => {
    const gateway = await testGateway();
    gateway.setUpstream("pi", fakeUpstream(path));
    const get = await ask(gateway.port, narinfo);
    const head = await ask(gateway.port, narinfo, { method: "HEAD" });
    expect(head.status).toBe(200);
    expect(head.headers["content-length"]).toBe(String(get.body.length));
    expect(head.body.length).toBe(0);
  });

  test("distinct paths without signature and content address are counted", async () => {
    const gateway = await testGateway();
    const bare = fakePath("b", "b", { signatures: [] });
    const addressed = fakePath("c", "c", { signatures: [], ca: "fixed:r:sha256:x" });
    gateway.setUpstream("pi", fakeUpstream(path, bare, addressed));
    for (const one of [path, bare, bare, addressed]) await ask(gateway.port, `/pi/${one.hashPart}.narinfo`);
    expect(gateway.stats("pi").unsigned).toBe(1);
  });

  test("many lookups of one path at the same time are one question", async () => {
    const gateway = await testGateway();
    const upstream = fakeUpstream(path);
    let answer = (): void => undefined;
    upstream.beforeLookup = () => new Promise((resolve) => (answer = resolve));
    gateway.setUpstream("pi", upstream);
    const answers = Promise.all(Array.from({ length: 10 }, () => ask(gateway.port, narinfo)));
    await expect.poll(() => gateway.stats("pi").lookups).toBe(10);
    answer();
    expect((await answers).map(({ status }) => status)).toEqual(Array(10).fill(200));
    expect(upstream.asked).toEqual([path.hashPart]);
  });

  test("an upstream that never answers, or throws at once, is 404 within two seconds", async () => {
    const gateway = await testGateway();
    const upstream = fakeUpstream(path);
    upstream.beforeLookup = never;
    gateway.setUpstream("pi", upstream);
    const begin = performance.now();
    expect((await ask(gateway.port, narinfo)).status).toBe(404);
    expect(performance.now() - begin).toBeLessThan(2_300);

    upstream.queryByHashPart = () => {
      throw new Error("synchronous");
    };
    expect((await ask(gateway.port, narinfo)).status).toBe(404);
  });

  test("a lookup may take longer while the upstream has others to hear", async () => {
    const gateway = await testGateway({ limits: { lookupMs: 100, busyLookupMs: 2_000 } });
    const quiet = fakeUpstream(path);
    quiet.beforeLookup = () => sleep(300);
    gateway.setUpstream("pi", quiet);
    expect((await ask(gateway.port, narinfo)).status).toBe(404);
    const busy = Object.defineProperty(fakeUpstream(path), "lastByteAt", { get: () => performance.now() });
    busy.beforeLookup = () => sleep(300);
    gateway.setUpstream("pi", busy);
    expect((await ask(gateway.port, narinfo)).status).toBe(200);
  });

  test("a lookup may take longer while NARs do arrive, but not for ever", async () => {
    const gateway = await testGateway({ limits: { lookupMs: 100, busyLookupMs: 600 } });
    const big = fakePath("b", Buffer.alloc(200 * 65_536));
    const upstream = fakeUpstream(path, big);
    gateway.setUpstream("pi", upstream);
    await ask(gateway.port, `/pi/${big.hashPart}.narinfo`);
    const openNar = upstream.openNar.bind(upstream);
    upstream.openNar = async (info, signal) => slowed(await openNar(info, signal), 10);
    const nar = ask(gateway.port, `/pi/${big.narUrl}`);
    await expect.poll(() => gateway.stats("pi").narBytes).toBeGreaterThan(0);
    upstream.beforeLookup = () => sleep(300);
    expect((await ask(gateway.port, narinfo)).status).toBe(200);
    upstream.beforeLookup = never;
    expect((await ask(gateway.port, `/pi/${"c".repeat(32)}.narinfo`)).status).toBe(404);
    expect(gateway.stats("pi").narBytes).toBeLessThan(big.nar.length);
    expect((await nar).status).toBe(200);
  });

  test.each([
    ["malformed", { signatures: ["one\nStorePath: two"] }],
    ["another path's", { path: `/nix/store/${"d".repeat(32)}-other` }],
  ])("an answer that is %s is not passed on", async (_what, change) => {
    const gateway = await testGateway();
    gateway.setUpstream("pi", fakeUpstream(fakePath("a", "a", change)));
    expect((await ask(gateway.port, narinfo)).status).toBe(404);
  });

  test("the upstream leaving answers running lookups at once", async () => {
    const gateway = await testGateway();
    const upstream = fakeUpstream(path);
    upstream.beforeLookup = never;
    gateway.setUpstream("pi", upstream);
    const running = ask(gateway.port, narinfo);
    await expect.poll(() => upstream.asked.length).toBe(1);
    const begin = performance.now();
    gateway.setUpstream("pi", null);
    expect((await running).status).toBe(404);
    expect(performance.now() - begin).toBeLessThan(1_000);
  });

  test("an upstream that is replaced while it is asked leaves the question to the new one", async () => {
    const gateway = await testGateway();
    const old = fakeUpstream();
    old.beforeLookup = never;
    gateway.setUpstream("pi", old);
    const running = ask(gateway.port, narinfo);
    await expect.poll(() => old.asked.length).toBe(1);
    gateway.setUpstream("pi", fakeUpstream(path));
    expect((await running).status).toBe(200);
  });
});

describe("memory", () => {
  test("while the cache is away a known path is told, an unknown one is not, and no NAR is", async () => {
    const gateway = await testGateway();
    gateway.setUpstream("pi", fakeUpstream(path, fakePath("b")));
    await ask(gateway.port, narinfo);
    gateway.setUpstream("pi", null);
    expect((await ask(gateway.port, narinfo)).status).toBe(200);
    expect((await ask(gateway.port, `/pi/${path.narUrl}`)).status).toBe(404);
    expect((await ask(gateway.port, `/pi/${"b".repeat(32)}.narinfo`)).status).toBe(404);
    expect(gateway.stats("pi")).toMatchObject({ lookups: 2, hits: 2 });
  });

  test("it ends some time after the cache was lost", async () => {
    const gateway = await testGateway({ limits: { absenceMs: 50 } });
    gateway.setUpstream("pi", fakeUpstream(path));
    await ask(gateway.port, narinfo);
    gateway.setUpstream("pi", null);
    await expect.poll(async () => (await ask(gateway.port, narinfo)).status).toBe(404);
  });

  test("it answers where the upstream fails, not where the upstream says no", async () => {
    const gateway = await testGateway({ limits: { lookupMs: 100 } });
    const upstream = fakeUpstream(path);
    gateway.setUpstream("pi", upstream);
    await ask(gateway.port, narinfo);
    upstream.beforeLookup = never;
    expect((await ask(gateway.port, narinfo)).status).toBe(200);
    upstream.beforeLookup = async () => undefined;
    upstream.paths.clear();
    expect((await ask(gateway.port, narinfo)).status).toBe(404);
    gateway.setUpstream("pi", null);
    expect((await ask(gateway.port, narinfo)).status).toBe(404);
  });
});

test("several caches are apart", async () => {
  const gateway = await testGateway({
    caches: [
      { name: "pi", priority: 30 },
      { name: "nas", priority: 35 },
    ],
  });
  gateway.setUpstream("nas", fakeUpstream(path));
  expect((await ask(gateway.port, "/nas/nix-cache-info")).body.toString()).toContain("Priority: 35");
  expect((await ask(gateway.port, narinfo)).status).toBe(404);
  expect((await ask(gateway.port, `/nas/${path.hashPart}.narinfo`)).status).toBe(200);
  expect(gateway.stats("pi").lookups).toBe(0);
  expect(() => gateway.setUpstream("x", null)).toThrow("serves no cache x");
});

test("a connection serves many requests", async () => {
  const gateway = await testGateway();
  gateway.setUpstream("pi", fakeUpstream(path));
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const sockets = new Set<unknown>();
  agent.on("free", (socket) => sockets.add(socket));
  for (const url of [narinfo, `/pi/${path.narUrl}`, "/pi/missing", narinfo]) {
    await ask(gateway.port, url, { agent });
  }
  agent.destroy();
  expect(sockets.size).toBe(1);
});
