import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { createFileVersions } from "../../../src/upstream/http/file-versions.js";
import { createHttpClient } from "../../../src/upstream/http/http-client.js";
import { openHttpLink, type HttpLink, type HttpLinkOptions } from "../../../src/upstream/http/http-link.js";
import { openTcp } from "../../../src/upstream/http/road.js";
import { fakePath } from "../../support/fake-upstream.js";
import { startWebCache, type WebCache } from "../../support/web-cache.js";
import { collect } from "../../support/wire.js";

const never = new AbortController().signal;
const thing = fakePath("a");
const info = "GET /nix-cache-info";
const soon = { timeout: 10_000 };

let web: WebCache;
beforeEach(async () => {
  web = await startWebCache();
  web.add(thing);
});
afterEach(() => web.close());

/** A link to the cache, and why it has ended. */
function open(options: Partial<HttpLinkOptions> = {}): { link: HttpLink; reason: () => string | null } {
  const { base } = web;
  const client = createHttpClient({
    base,
    authorization: null,
    open: ({ port }) => openTcp("127.0.0.1", port),
  });
  const versions = createFileVersions();
  const link = openHttpLink({ client, base, versions, onRefused: () => undefined, pauseMs: 20, ...options });
  let told: string | null = null;
  void link.closed.then((error) => (told = error.message));
  onTestFinished(() => link.end(new Error("over")));
  return { link, reason: () => told };
}

test("a server of which nothing is heard is asked now and then, and given up when it does not answer", async () => {
  const { reason } = open({ heartbeatMs: 100 });
  await expect.poll(() => web.asked.length, soon).toBeGreaterThan(2);
  expect(new Set(web.asked)).toEqual(new Set([info]));
  expect(reason()).toBeNull();
  web.behave = (_request, response) => (response.writeHead(503).end(), true);
  await expect.poll(reason, soon).toMatch(/no longer answers: .*HTTP 503/);
});

test("a request that goes wrong has the server asked, over a new connection", async () => {
  const { link, reason } = open({ pauseMs: 1_000 });
  const upstream = link.openUpstream();
  await upstream.queryByHashPart(thing.hashPart, never);
  web.behave = (request, response) =>
    request.url?.endsWith(".narinfo") === true && (response.writeHead(500).end(), true);
  for (let i = 0; i < 5; i += 1) {
    await expect(upstream.queryByHashPart(thing.hashPart, never)).rejects.toThrow("HTTP 500");
  }
  await expect.poll(() => web.asked.includes(info), soon).toBe(true);
  await sleep(100);
  // Once for all of them.
  expect(web.asked.filter((one) => one === info).length).toBeLessThanOrEqual(2);
  expect(reason()).toBeNull();
  web.behave = (request) => (request.socket.resetAndDestroy(), true);
  await expect(upstream.queryByHashPart(thing.hashPart, never)).rejects.toThrow();
  await expect.poll(reason, soon).toContain("no longer answers");
});

test("it is alive for who asks, with more patience while bytes arrive, and dead when it was ended", async () => {
  const { link } = open({ limits: { stallMs: 10_000 } });
  expect(await link.probe(2_000)).toBe(true);
  const big = fakePath("b", Buffer.alloc(100_000));
  web.add(big);
  const upstream = link.openUpstream();
  const offered = await upstream.queryByHashPart(big.hashPart, never);
  if (offered === null) throw new Error("it is not there");
  let beat: NodeJS.Timeout | undefined;
  web.behave = (request, response) => {
    if (request.url === "/nix-cache-info") {
      setTimeout(() => response.writeHead(200).end("StoreDir: /nix/store\n"), 300);
      return true;
    }
    response.writeHead(200, { "content-length": 100_000 });
    beat = setInterval(() => response.write("x"), 20);
    return true;
  };
  expect(await link.probe(150)).toBe(false);
  const nar = await upstream.openNar(offered, never);
  void collect(nar).catch(() => undefined);
  expect(await link.probe(150)).toBe(true);
  clearInterval(beat);
  link.end(new Error("enough"));
  expect(await link.probe(2_000)).toBe(false);
  await expect(link.closed).resolves.toMatchObject({ message: "enough" });
});

test("what is no cache is told, and not taken for one", async () => {
  const { link } = open();
  web.files.set("/nix-cache-info", "<html>Welcome to the hotel</html>");
  expect(await link.probe(2_000)).toBe(false);
  web.files.set("/nix-cache-info", "StoreDir: /other/store\n");
  expect(await link.probe(2_000)).toBe(false);
});
