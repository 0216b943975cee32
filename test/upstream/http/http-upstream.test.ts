import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { formatNarinfo } from "../../../src/protocol/narinfo.js";
import type { OfferedPath } from "../../../src/protocol/offered-path.js";
import { createFileVersions } from "../../../src/upstream/http/file-versions.js";
import { fakePath } from "../../support/fake-upstream.js";
import { httpUpstream } from "../../support/http-upstream.js";
import { startWebCache, type WebCache } from "../../support/web-cache.js";
import { collect } from "../../support/wire.js";

const never = new AbortController().signal;
const thing = fakePath("a", "some bytes of a NAR");
const big = fakePath("b", Buffer.alloc(400_000, "0123456789"));
const narinfo = `/${thing.hashPart}.narinfo`;

let web: WebCache;
beforeEach(async () => {
  web = await startWebCache();
  web.add(thing);
  web.add(big);
});
afterEach(() => web.close());

async function infoOf(path = thing): Promise<OfferedPath> {
  return (await httpUpstream(web.base).upstream.queryByHashPart(path.hashPart, never)) as OfferedPath;
}

describe("a lookup", () => {
  test("tells the path and the file that its NAR comes in", async () => {
    const { upstream, troubles } = httpUpstream(web.base);
    const file = {
      compression: "none",
      hash: thing.info.narHash,
      size: thing.nar.length,
      location: `nar/${thing.hashPart}.nar`,
    };
    expect(await upstream.queryByHashPart(thing.hashPart, never)).toEqual({ ...thing.info, file });
    expect(await upstream.queryByHashPart("z".repeat(32), never)).toBeNull();
    expect(await upstream.queryByHashPart("../../etc/passwd", never)).toBeNull();
    expect(web.asked).toEqual([`GET ${narinfo}`, `GET /${"z".repeat(32)}.narinfo`]);
    expect(web.connections).toBe(1);
    expect(troubles).toEqual([]);
  });

  test.each([
    ["a page instead of a narinfo", "<html>Please log in</html>", "bad-value"],
    ["no end", `Sig: ${"x".repeat(5_000_000)}`, "bad-value"],
    ["a file: URL", formatNarinfo(thing.info, "file:///etc/passwd"), "bad-value"],
    [
      "another size than that of a NAR that is not compressed",
      formatNarinfo(thing.info, "x").replace(/FileSize: \d+/, "FileSize: 7"),
      "bad-value",
    ],
  ])("with %s is no answer, and no trouble of the server", async (_what, text, code) => {
    web.files.set(narinfo, text);
    const { upstream, troubles } = httpUpstream(web.base);
    await expect(upstream.queryByHashPart(thing.hashPart, never)).rejects.toMatchObject({ code });
    expect(troubles).toEqual([]);
  });

  test.each([
    [404, null],
    [410, null],
    // As object stores say it.
    [403, null],
    [401, "http-auth"],
    [500, "http-status"],
    [503, "http-status"],
  ])("answered with %i is %s", async (status, code) => {
    web.behave = (_request, response) => (response.writeHead(status).end("no"), true);
    const { upstream, troubles, refused } = httpUpstream(web.base);
    const answer = upstream.queryByHashPart(thing.hashPart, never);
    if (code === null) expect(await answer).toBeNull();
    else await expect(answer).rejects.toMatchObject({ code });
    expect(troubles).toHaveLength(status >= 500 ? 1 : 0);
    expect(refused).toEqual([status >= 500 ? [] : status === 401 ? "http-auth" : null].flat());
  });

  test("that is answered with something else than an answer fails, and is a trouble", async () => {
    web.behave = (request) => {
      request.socket.end("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
      return true;
    };
    const { upstream, troubles } = httpUpstream(web.base);
    await expect(upstream.queryByHashPart(thing.hashPart, never)).rejects.toMatchObject({
      code: "http-failed",
    });
    web.behave = (request) => (request.socket.end("SSH-2.0-OpenSSH\r\n"), true);
    await expect(upstream.queryByHashPart(thing.hashPart, never)).rejects.toMatchObject({
      code: "http-failed",
    });
    web.behave = (_request, response) => (response.writeHead(200, { x: "y".repeat(100_000) }).end(), true);
    await expect(upstream.queryByHashPart(thing.hashPart, never)).rejects.toMatchObject({
      code: "http-failed",
    });
    expect(troubles).toHaveLength(3);
  });

  test("that gets no answer ends with its signal, and is a trouble", async () => {
    web.behave = () => true;
    const { upstream, troubles } = httpUpstream(web.base);
    const late = AbortSignal.timeout(50);
    await expect(upstream.queryByHashPart(thing.hashPart, late)).rejects.toThrow();
    expect(troubles).toHaveLength(1);
  });

  test("finds the size of a file that the narinfo does not tell", async () => {
    const file = { compression: "xz", hash: null, size: 1, location: "" };
    const text = formatNarinfo({ ...thing.info, file }, `nar/${thing.hashPart}.nar`);
    web.files.set(narinfo, text.replace(/FileSize: .*\n/, ""));
    expect((await infoOf()).file).toMatchObject({ compression: "xz", size: thing.nar.length });
    expect(web.asked.at(-1)).toBe(`HEAD /nar/${thing.hashPart}.nar`);
  });

  test("runs beside others, so many at once", async () => {
    let open = 0;
    let most = 0;
    web.behave = (_request, response) => {
      open += 1;
      most = Math.max(most, open);
      setTimeout(() => {
        open -= 1;
        response.writeHead(404).end();
      }, 20);
      return true;
    };
    const { upstream } = httpUpstream(web.base, { limits: { lookups: 3 } });
    const parts = [..."0123456789"].map((digit) => digit.repeat(32));
    expect(await Promise.all(parts.map((part) => upstream.queryByHashPart(part, never)))).toEqual(
      parts.map(() => null),
    );
    expect(most).toBe(3);
    expect(web.connections).toBe(3);
  });

  test("is asked again where the server has just closed the kept connection", async () => {
    const { upstream, troubles } = httpUpstream(web.base);
    await upstream.queryByHashPart(thing.hashPart, never);
    let resets = 1;
    web.behave = (request) => {
      if (resets === 0) return false;
      resets -= 1;
      request.socket.resetAndDestroy();
      return true;
    };
    expect(await upstream.queryByHashPart(thing.hashPart, never)).not.toBeNull();
    expect(troubles).toEqual([]);
  });

  test("which of many are there", async () => {
    const { upstream } = httpUpstream(web.base);
    const absent = Array.from({ length: 40 }, (_, i) => `${i % 10}`.repeat(32));
    expect(await upstream.findPresent([...absent, thing.hashPart], never)).toEqual([thing.hashPart]);
    expect(await upstream.findPresent(absent, never)).toEqual([]);
  });

  test.each([
    ["an error of the server", 500, {}],
    ["a refusal", 401, {}],
    ["a redirect to nowhere", 302, { location: "http://" }],
    ["a page", 200, {}],
  ])("which of many are there, where one has %s for an answer", async (_what, status, headers) => {
    const odd = "0".repeat(32);
    web.behave = (request, response) => {
      if (request.url !== `/${odd}.narinfo`) return false;
      response.writeHead(status, headers).end("<html>");
      return true;
    };
    const { upstream } = httpUpstream(web.base);
    const absent = Array.from({ length: 40 }, (_, i) => `${i % 10}`.repeat(32));
    expect(await upstream.findPresent([...absent, thing.hashPart], never)).toEqual([thing.hashPart]);
    expect(await upstream.findPresent(absent, never)).toEqual([]);
  });

  test("which of many are there can not be told where the server breaks off, or the question ends", async () => {
    const { upstream } = httpUpstream(web.base);
    web.behave = (request) => (request.socket.destroy(), true);
    await expect(upstream.findPresent([thing.hashPart], never)).rejects.toMatchObject({
      code: "http-failed",
    });
    web.behave = () => true;
    await expect(upstream.findPresent([thing.hashPart], AbortSignal.timeout(50))).rejects.toThrow();
    upstream.close();
    await expect(upstream.findPresent([thing.hashPart], never)).rejects.toMatchObject({ code: "closed" });
  });
});

describe("redirects", () => {
  test("are followed, also to another host, which does not get the password", async () => {
    const store = await startWebCache();
    store.add(thing);
    try {
      web.behave = (request, response) => {
        if (request.url === narinfo) return (response.writeHead(301, { location: "/moved" }).end(), true);
        const location = `http://store.example:${store.port}${narinfo}`;
        return (response.writeHead(302, { location }).end(), true);
      };
      const { upstream } = httpUpstream(web.base, { authorization: "Basic secret" });
      expect(await upstream.queryByHashPart(thing.hashPart, never)).toMatchObject({ path: thing.info.path });
      expect(web.requests.map(({ headers }) => headers.authorization)).toEqual([
        "Basic secret",
        "Basic secret",
      ]);
      expect(store.requests[0]?.headers).toMatchObject({ host: `store.example:${store.port}` });
      expect(store.requests[0]?.headers.authorization).toBeUndefined();
    } finally {
      await store.close();
    }
  });

  test.each([
    ["in a circle", narinfo],
    ["to nowhere", "http://"],
    ["to a file", "file:///etc/passwd"],
  ])("%s end", async (_where, location) => {
    web.behave = (_request, response) => (response.writeHead(302, { location }).end(), true);
    const { upstream, troubles } = httpUpstream(web.base);
    await expect(upstream.queryByHashPart(thing.hashPart, never)).rejects.toMatchObject({
      code: "bad-redirect",
    });
    expect(web.asked.length).toBeLessThanOrEqual(6);
    expect(troubles).toEqual([]);
  });
});

describe("a NAR", () => {
  test("comes whole, and from its middle", async () => {
    const { upstream } = httpUpstream(web.base);
    const info = await infoOf(big);
    expect((await collect(await upstream.openNar(info, never))).equals(big.nar)).toBe(true);
    const { stream, begins } = await upstream.openNarFrom(info, 300_000, never);
    expect(begins).toBe(300_000);
    expect((await collect(stream)).equals(big.nar.subarray(300_000))).toBe(true);
    expect(web.requests.at(-1)?.headers).toMatchObject({ range: "bytes=300000-" });
    expect(web.requests.at(-1)?.headers["if-range"]).toMatch(/^"/);
  });

  test("comes from its start where the server knows no ranges, or sends others", async () => {
    const { upstream } = httpUpstream(web.base);
    const info = await infoOf(big);
    web.behave = (_request, response) => (response.writeHead(200).end(big.nar), true);
    const whole = await upstream.openNarFrom(info, 300_000, never);
    expect(whole.begins).toBe(0);
    expect((await collect(whole.stream)).length).toBe(big.nar.length);
    web.behave = (request, response) => {
      if (request.headers.range === undefined) return false;
      response.writeHead(206, { "content-range": "bytes 5-9/400000" }).end("56789");
      return true;
    };
    const again = await upstream.openNarFrom(info, 300_000, never);
    expect(again.begins).toBe(0);
    expect((await collect(again.stream)).equals(big.nar)).toBe(true);
  });

  test("that has become another one is never put behind its beginning", async () => {
    const versions = createFileVersions();
    const info = await infoOf(big);
    const first = await httpUpstream(web.base, { versions }).upstream.openNar(info, never);
    first.destroy();
    web.files.set(`/nar/${big.hashPart}.nar`, Buffer.alloc(400_000, "another"));
    const { upstream, troubles } = httpUpstream(web.base, { versions });
    await expect(upstream.openNarFrom(info, 300_000, never)).rejects.toMatchObject({ code: "nar-changed" });
    web.files.set(`/nar/${big.hashPart}.nar`, Buffer.alloc(500_000, "longer"));
    await expect(upstream.openNarFrom(info, 300_000, never)).rejects.toMatchObject({ code: "nar-changed" });
    await expect(upstream.openNar(info, never)).rejects.toMatchObject({ code: "nar-changed" });
    web.files.delete(`/nar/${big.hashPart}.nar`);
    await expect(upstream.openNar(info, never)).rejects.toMatchObject({ code: "not-valid" });
    expect(troubles).toEqual([]);
  });

  describe("on another way than its narinfo", () => {
    let other: WebCache;
    beforeEach(async () => {
      other = await startWebCache();
      other.add(big);
    });
    afterEach(() => other.close());

    test("is asked for where this way leads", async () => {
      const info = await infoOf(big);
      const asked = web.asked.length;
      const { upstream } = httpUpstream(other.base);
      expect((await collect(await upstream.openNar(info, never))).equals(big.nar)).toBe(true);
      expect(web.asked).toHaveLength(asked);
      expect(other.asked).toEqual([`GET /nar/${big.hashPart}.nar`]);
    });

    test("goes on by what its own server calls it, once that is known", async () => {
      const info = await infoOf(big);
      const { upstream } = httpUpstream(other.base);
      for (const from of [200_000, 300_000]) {
        const { stream, begins } = await upstream.openNarFrom(info, from, never);
        expect(begins).toBe(from);
        expect((await collect(stream)).equals(big.nar.subarray(from))).toBe(true);
      }
      expect(other.requests.map(({ headers }) => headers["if-range"])).toEqual([
        undefined,
        expect.stringMatching(/^"/),
      ]);
      other.files.set(`/nar/${big.hashPart}.nar`, Buffer.alloc(400_000, "another"));
      await expect(upstream.openNarFrom(info, 350_000, never)).rejects.toMatchObject({ code: "nar-changed" });
    });

    test("is asked for where its narinfo says, if it names a server", async () => {
      web.files.set(
        `/${big.hashPart}.narinfo`,
        formatNarinfo(big.info, `${web.base.href}nar/${big.hashPart}.nar`),
      );
      const info = await infoOf(big);
      const { upstream } = httpUpstream(other.base);
      expect((await collect(await upstream.openNar(info, never))).equals(big.nar)).toBe(true);
      expect(other.asked).toEqual([]);
    });
  });

  test("that is cut fails, and one that comes to a halt is told of", async () => {
    const { upstream, troubles } = httpUpstream(web.base, { limits: { stallMs: 60, headersMs: 80 } });
    const info = await infoOf(big);
    web.behave = (request, response) => {
      response.writeHead(200, { "content-length": big.nar.length }).write(big.nar.subarray(0, 100_000));
      setTimeout(() => request.socket.destroy(), 20);
      return true;
    };
    await expect(collect(await upstream.openNar(info, never))).rejects.toThrow();
    web.behave = (_request, response) => {
      response.writeHead(200, { "content-length": big.nar.length }).write(big.nar.subarray(0, 100_000));
      return true;
    };
    const stream = await upstream.openNar(info, never);
    void collect(stream).catch(() => undefined);
    await expect.poll(() => troubles).toContain("a NAR came to a halt");
    stream.destroy();
    web.behave = () => true;
    await expect(upstream.openNar(info, never)).rejects.toMatchObject({ code: "stalled" });
  });

  test("that its reader does not take is no trouble, and frees its connection when it is left", async () => {
    const giant = fakePath("c", Buffer.alloc(20_000_000));
    web.add(giant);
    const { upstream, troubles } = httpUpstream(web.base, { limits: { stallMs: 30, nars: 1 } });
    const info = await infoOf(giant);
    const stream = await upstream.openNar(info, never);
    await stream[Symbol.asyncIterator]().next();
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(troubles).toEqual([]);
    const second = upstream.openNar(info, never);
    stream.destroy();
    expect((await collect(await second)).length).toBe(giant.nar.length);
  });

  test("ends with the upstream", async () => {
    const { upstream } = httpUpstream(web.base);
    const giant = fakePath("c", Buffer.alloc(20_000_000));
    web.add(giant);
    const stream = await upstream.openNar(await infoOf(giant), never);
    upstream.close();
    await expect(collect(stream)).rejects.toMatchObject({ code: "closed" });
    await expect(upstream.queryByHashPart(thing.hashPart, never)).rejects.toMatchObject({ code: "closed" });
  });
});
