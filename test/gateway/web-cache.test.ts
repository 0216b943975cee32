// A cache on a web server behind the gateway: compressed files passed on as they are, over cuts as well.

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Gateway } from "../../src/gateway/gateway.js";
import { formatNarinfo } from "../../src/protocol/narinfo.js";
import { createFileVersions } from "../../src/upstream/http/file-versions.js";
import { fakePath } from "../support/fake-upstream.js";
import { testGateway } from "../support/gateway.js";
import { ask } from "../support/http.js";
import { httpUpstream } from "../support/http-upstream.js";
import { startWebCache, type WebCache } from "../support/web-cache.js";

const path = fakePath("a", "0123456789".repeat(100));
const compressed = Buffer.alloc(600_000, "abcdefghijk");
const file = { compression: "xz", hash: "1".repeat(64), size: compressed.length, location: "" };
const far = `/nar/${"1".repeat(52)}.nar.xz`;
const near = `/pi/${path.narUrl}.xz`;

let web: WebCache;
let gateway: Gateway;
beforeEach(async () => {
  web = await startWebCache();
  web.files.set(`/${path.hashPart}.narinfo`, formatNarinfo({ ...path.info, file }, far.slice(1)));
  web.files.set(far, compressed);
  gateway = await testGateway({ limits: { resumeMs: 5_000 } });
});
afterEach(() => web.close());

/** Sends the first `count` bytes of what is asked for, and breaks off. */
function breakAfter(count: number): void {
  web.behave = (request, response) => {
    if (request.url !== far || request.headers.range !== undefined) return false;
    response.writeHead(200, { "content-length": compressed.length, etag: '"one"' });
    response.write(compressed.subarray(0, count), () => setTimeout(() => request.socket.destroy(), 50));
    return true;
  };
}

test("the narinfo names our file, in the compression, hash and size of the far one", async () => {
  gateway.setUpstream("pi", httpUpstream(web.base).upstream);
  const { status, body } = await ask(gateway.port, `/pi/${path.hashPart}.narinfo`);
  expect(status).toBe(200);
  expect(body.toString()).toBe(formatNarinfo({ ...path.info, file }, near.slice("/pi/".length)));
});

test("the file comes as it is, whole and by range, and is not found by the name of an uncompressed one", async () => {
  gateway.setUpstream("pi", httpUpstream(web.base).upstream);
  const whole = await ask(gateway.port, near);
  expect([whole.status, whole.headers["content-length"]]).toEqual([200, `${compressed.length}`]);
  expect(whole.body.equals(compressed)).toBe(true);
  const rest = await ask(gateway.port, near, { headers: { range: "bytes=500000-" } });
  expect([rest.status, rest.headers["content-range"]]).toEqual([206, "bytes 500000-599999/600000"]);
  expect(rest.body.equals(compressed.subarray(500_000))).toBe(true);
  expect((await ask(gateway.port, near, { method: "HEAD" })).headers["content-length"]).toBe("600000");
  expect((await ask(gateway.port, near.slice(0, -".xz".length))).status).toBe(404);
  expect((await ask(gateway.port, near.replace(".xz", ".zst"))).status).toBe(404);
});

describe("a file that is cut", () => {
  test("goes on in the same response from where it was", async () => {
    gateway.setUpstream("pi", httpUpstream(web.base).upstream);
    breakAfter(250_000);
    web.files.set(far, compressed);
    const started = ask(gateway.port, near);
    await expect.poll(() => gateway.stats("pi").narBytes).toBeGreaterThanOrEqual(250_000);
    web.behave = (request, response) => {
      if (request.url !== far) return false;
      const from = Number(/\d+/.exec(request.headers.range ?? "")?.[0]);
      expect(request.headers["if-range"]).toBe('"one"');
      response.writeHead(206, { "content-range": `bytes ${from}-599999/600000` });
      response.end(compressed.subarray(from));
      return true;
    };
    const { cut, body } = await started;
    expect(cut).toBe(false);
    expect(body.equals(compressed)).toBe(true);
    expect(gateway.stats("pi")).toMatchObject({ narBytes: 600_000, resumed: 1 });
  });

  test("goes on by the next link, also where the server must send it from its start", async () => {
    const versions = createFileVersions();
    gateway.setUpstream("pi", httpUpstream(web.base, { versions }).upstream);
    breakAfter(250_000);
    const started = ask(gateway.port, near);
    await expect.poll(() => gateway.stats("pi").narBytes).toBeGreaterThanOrEqual(250_000);
    gateway.setUpstream("pi", null, { mayReturn: true });
    web.behave = (request, response) => {
      if (request.url !== far) return false;
      response.writeHead(200, { "content-length": compressed.length, etag: '"one"' }).end(compressed);
      return true;
    };
    gateway.setUpstream("pi", httpUpstream(web.base, { versions }).upstream);
    const { cut, body } = await started;
    expect(cut).toBe(false);
    expect(body.equals(compressed)).toBe(true);
  });

  test("goes on by another way, from that way's server and where it has the file", async () => {
    const other = await startWebCache();
    try {
      const there = "/elsewhere.nar.xz";
      other.files.set(`/${path.hashPart}.narinfo`, formatNarinfo({ ...path.info, file }, there.slice(1)));
      other.files.set(there, compressed);
      gateway.setUpstream("pi", httpUpstream(web.base).upstream);
      breakAfter(250_000);
      const started = ask(gateway.port, near);
      await expect.poll(() => gateway.stats("pi").narBytes).toBeGreaterThanOrEqual(250_000);
      gateway.setUpstream("pi", null, { mayReturn: true });
      web.behave = (request) => (request.socket.destroy(), true);
      const asked = web.asked.length;
      gateway.setUpstream("pi", httpUpstream(other.base).upstream);
      const { cut, body } = await started;
      expect(cut).toBe(false);
      expect(body.equals(compressed)).toBe(true);
      expect(other.asked).toEqual([`GET /${path.hashPart}.narinfo`, `GET ${there}`]);
      expect(other.requests.at(-1)?.headers["if-range"]).toBeUndefined();
      expect(web.asked).toHaveLength(asked);
    } finally {
      await other.close();
    }
  });

  test.each([
    ["has another narinfo", () => ({ ...file, hash: "2".repeat(64) }), '"one"'],
    ["has another version", () => file, '"two"'],
  ])("ends where the path %s by then, and is then said not to be there", async (_what, now, etag) => {
    const versions = createFileVersions();
    gateway.setUpstream("pi", httpUpstream(web.base, { versions }).upstream);
    breakAfter(250_000);
    const started = ask(gateway.port, near);
    await expect.poll(() => gateway.stats("pi").narBytes).toBeGreaterThanOrEqual(250_000);
    gateway.setUpstream("pi", null, { mayReturn: true });
    web.files.set(`/${path.hashPart}.narinfo`, formatNarinfo({ ...path.info, file: now() }, far.slice(1)));
    web.behave = (request, response) => {
      if (request.url !== far) return false;
      response.writeHead(200, { "content-length": compressed.length, etag }).end(Buffer.alloc(600_000));
      return true;
    };
    gateway.setUpstream("pi", httpUpstream(web.base, { versions }).upstream);
    const { cut, body } = await started;
    expect(cut).toBe(true);
    expect(compressed.subarray(0, body.length).equals(body)).toBe(true);
    expect((await ask(gateway.port, near)).status).toBe(404);
    expect(gateway.stats("pi").abandoned).toBe(1);
  });
});
