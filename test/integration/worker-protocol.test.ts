// The client against a real nix-daemon and a throw-away store.

import { createHash } from "node:crypto";
import { setMaxListeners } from "node:events";
import { rm } from "node:fs/promises";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { NarFraming } from "../../src/protocol/nar.js";
import * as operations from "../../src/protocol/operations.js";
import type { PathInfo } from "../../src/protocol/path-info.js";
import { parseStorePath } from "../../src/protocol/store-path.js";
import { DaemonClient } from "../../src/upstream/daemon-client.js";
import { createDaemonUpstream } from "../../src/upstream/daemon-upstream.js";
import { handshakeDaemon } from "../../src/upstream/handshake-daemon.js";
import type { UpstreamLimits } from "../../src/upstream/limits.js";
import type { Upstream } from "../../src/upstream/upstream.js";
import { makeStore, type NixStore, type Tree } from "../support/nix-store.js";

const never = new AbortController().signal;
setMaxListeners(0, never);
const log = pino({ level: "silent" });
const deriver = `/nix/store/${"0".repeat(32)}-tree.drv`;
const absent = "z".repeat(32);
const tree: Tree = {
  entries: {
    bin: { entries: { run: { script: "#!/bin/sh\necho hi\n" }, alias: { link: "run" } } },
    empty: "",
    data: Buffer.alloc(100_001, 1),
    "ünïcode name": "x",
    deep: { entries: { er: { entries: { and: { entries: {} } } } } },
  },
};

let store: NixStore;
let socket: string;
let file: string;
let whole: string;
let publicKey: string;

beforeAll(async () => {
  store = await makeStore();
  file = await store.addFile("hello.txt", "hello");
  whole = await store.addTree("tree", tree, { references: [file], deriver });
  publicKey = await store.sign("test-1", whole);
  socket = await store.listen();
});

afterAll(() => store.dispose());

const hashPartOf = (path: string): string => parseStorePath(path)?.hashPart ?? "";

const openSocket = (): Promise<Duplex> =>
  new Promise((resolve, reject) => {
    const stream = connect(socket, () => resolve(stream));
    stream.on("error", reject);
  });

async function digest(stream: AsyncIterable<unknown>): Promise<{ sha256: string; size: number }> {
  const hash = createHash("sha256");
  let size = 0;
  for await (const chunk of stream) {
    hash.update(chunk as Buffer);
    size += (chunk as Buffer).length;
  }
  return { sha256: hash.digest("hex"), size };
}

async function withUpstream<T>(
  use: (upstream: Upstream, opened: Duplex[]) => Promise<T>,
  limits: Partial<UpstreamLimits> = {},
): Promise<T> {
  const opened: Duplex[] = [];
  const openDaemon = async (): Promise<Duplex> => {
    const stream = await openSocket();
    opened.push(stream);
    return stream;
  };
  const upstream = createDaemonUpstream({ openDaemon, log, limits });
  try {
    return await use(upstream, opened);
  } finally {
    upstream.close();
  }
}

async function infoOf(upstream: Upstream, path: string): Promise<PathInfo> {
  const info = await upstream.queryByHashPart(hashPartOf(path), never);
  if (info === null) throw new Error(`${path} is not there`);
  return info;
}

describe.each(["nix-daemon --stdio", "the daemon's socket"])("a connection over %s", (way) => {
  const open = (): Promise<DaemonClient> => {
    const stream = way === "nix-daemon --stdio" ? Promise.resolve(store.openDaemon()) : openSocket();
    return stream.then((duplex) => DaemonClient.connect(duplex, { ms: 5000 }));
  };

  it("tells version and trust", async () => {
    const version = (await store.run("nix", "--version")).trim();
    const stream = way === "nix-daemon --stdio" ? store.openDaemon() : await openSocket();
    const info = await handshakeDaemon(stream, 5000);
    expect(version.endsWith(info.nixVersion ?? "?")).toBe(true);
    expect(info.protocol).toBeGreaterThanOrEqual(0x122);
    expect(info.trusted).toBe(info.protocol >= 0x123 ? true : null);
  });

  it("looks paths up, present and absent", async () => {
    const client = await open();
    expect(await client.ask(operations.queryPathFromHashPart(hashPartOf(file)))).toBe(file);
    expect(await client.ask(operations.queryPathFromHashPart(absent))).toBeNull();
    expect(await client.ask(operations.queryPathInfo(`/nix/store/${absent}-x`))).toBeNull();
    expect(await client.ask(operations.isValidPath(file))).toBe(true);
    expect(await client.ask(operations.isValidPath(`/nix/store/${absent}-x`))).toBe(false);
    const asked = [file, `/nix/store/${absent}-x`];
    expect(await client.ask(operations.queryValidPaths(asked))).toEqual([file]);
    expect(await client.ask(operations.queryAllValidPaths())).toEqual(expect.arrayContaining([file, whole]));
    const info = await client.ask(operations.queryPathInfo(whole));
    const { sha256, size } = await store.dump(whole);
    expect(info).toMatchObject({
      path: whole,
      narHash: sha256,
      narSize: size,
      references: [file],
      deriver,
      ca: null,
    });
    expect(info?.signatures).toHaveLength(1);
    expect(info?.signatures[0]).toMatch(new RegExp(`^${publicKey.split(":")[0]}:[A-Za-z0-9+/]{86}==$`));
    const plain = await client.ask(operations.queryPathInfo(file));
    expect(plain).toMatchObject({ references: [], deriver: null, signatures: [] });
    expect(plain?.ca).toMatch(/^fixed:r:sha256:/);
    client.destroy();
  });

  it("answers 500 questions that were asked at once, in order", async () => {
    const client = await open();
    const paths = Array.from({ length: 500 }, (_, i) => (i % 3 === 0 ? `/nix/store/${absent}-${i}` : whole));
    const answers = await Promise.all(paths.map((path) => client.ask(operations.queryPathInfo(path))));
    expect(answers.map((info) => info?.path ?? null)).toEqual(
      paths.map((path) => (path === whole ? whole : null)),
    );
    client.destroy();
  });

  it("reports what the daemon refuses in the daemon's words, without colours", async () => {
    const client = await open();
    const refused = client.ask(operations.queryPathInfo("/etc/passwd"));
    await expect(refused).rejects.toMatchObject({
      code: "daemon-error",
      message: /path '\/etc\/passwd' is not in the Nix store/,
    });
    client.destroy();
  });
});

describe("NAR framing", () => {
  it("finds the end of real NARs", async () => {
    for (const path of [file, whole]) {
      const info = await withUpstream((upstream) => infoOf(upstream, path));
      const stream = await withUpstream(async (upstream) => {
        const chunks: Buffer[] = [];
        for await (const chunk of await upstream.openNar(info, never)) chunks.push(chunk as Buffer);
        return Buffer.concat(chunks);
      });
      for (const size of [1, 7, 64, 4096]) {
        const framing = new NarFraming(info.narSize);
        let end = 0;
        for (let at = 0; at < stream.length; at += size) {
          if (framing.feed(stream.subarray(at, at + size)).state === "end") end = at + size;
        }
        expect(end).toBeGreaterThanOrEqual(stream.length);
      }
    }
  });
});

describe("createDaemonUpstream", () => {
  it("gives NARs that equal what nix-store dumps, many at once, and uses connections again", async () => {
    const big = await store.addFile("big", Buffer.alloc(9_000_000, "0123456789"));
    await withUpstream(
      async (upstream, opened) => {
        for (const path of [file, whole, big]) {
          const info = await infoOf(upstream, path);
          expect(await digest(await upstream.openNar(info, never))).toEqual(await store.dump(path));
        }
        expect(opened).toHaveLength(2);
        const info = await infoOf(upstream, big);
        const all = Array.from({ length: 25 }, async () => digest(await upstream.openNar(info, never)));
        const expected = await store.dump(big);
        for (const one of await Promise.all(all)) expect(one).toEqual(expected);
        expect(opened).toHaveLength(1 + 8);
      },
      { narConnections: 8 },
    );
  });

  it("says `not-valid` for a path that is gone from disk, and goes on", async () => {
    const gone = await store.addFile("gone", "soon gone");
    const rest = await store.addTree("gone-tree", { entries: { a: "a", b: { link: "a" } } });
    await withUpstream(async (upstream) => {
      const infos = [await infoOf(upstream, gone), await infoOf(upstream, rest)];
      for (const path of [gone, rest]) await rm(store.physical(path), { recursive: true });
      for (const info of infos) {
        await expect(upstream.openNar(info, never)).rejects.toMatchObject({ code: "not-valid" });
      }
      const unknown: PathInfo = { ...(await infoOf(upstream, file)), path: `/nix/store/${absent}-never` };
      await expect(upstream.openNar(unknown, never)).rejects.toMatchObject({ code: "not-valid" });
      const info = await infoOf(upstream, file);
      expect(await digest(await upstream.openNar(info, never))).toEqual(await store.dump(file));
    });
  });

  it("never ends well for a folder that lost a file, small or big", async () => {
    const entries = (size: number): Tree => ({
      entries: { a: Buffer.alloc(size), b: Buffer.alloc(size), c: "c" },
    });
    const small = await store.addTree("short-small", entries(100));
    const big = await store.addTree("short-big", entries(1_000_000));
    await withUpstream(async (upstream) => {
      const [smallInfo, bigInfo] = [await infoOf(upstream, small), await infoOf(upstream, big)];
      for (const path of [small, big]) await rm(`${store.physical(path)}/b`);
      await expect(upstream.openNar(smallInfo, never)).rejects.toMatchObject({ code: "not-valid" });
      const begun = performance.now();
      const stream = await upstream.openNar(bigInfo, never);
      await expect(digest(stream)).rejects.toMatchObject({ code: "nar-damaged" });
      expect(performance.now() - begun).toBeLessThan(2500);
    });
  });

  it("leaves no connection behind a reader that goes away", async () => {
    const big = await store.addFile("abandoned", Buffer.alloc(20_000_000, 1));
    await withUpstream(
      async (upstream, opened) => {
        const info = await infoOf(upstream, big);
        for (let i = 0; i < 6; i += 1) {
          const stream = await upstream.openNar(info, never);
          await stream[Symbol.asyncIterator]().next();
          stream.destroy();
        }
        await sleep(50);
        const open = opened.filter((stream) => !stream.destroyed);
        expect(open).toHaveLength(1);
        expect(await digest(await upstream.openNar(info, never))).toEqual(await store.dump(big));
      },
      { narConnections: 2 },
    );
  });

  it("waits for a reader that rests longer than a stall may last", async () => {
    const big = await store.addFile("rested", Buffer.alloc(20_000_000, 2));
    await withUpstream(
      async (upstream) => {
        const stream = await upstream.openNar(await infoOf(upstream, big), never);
        await sleep(700);
        expect(await digest(stream)).toEqual(await store.dump(big));
      },
      { stallMs: 300 },
    );
  });

  it("keeps a path that was looked up from the garbage collector, for a bounded time", async () => {
    const path = await store.addFile("rooted", "keep me");
    const other = await store.addFile("unrooted", "take me");
    await withUpstream(
      async (upstream) => {
        await infoOf(upstream, path);
        await expect(store.run("nix-store", "--delete", path)).rejects.toThrow(/still alive/);
        await store.run("nix-store", "--delete", other);
        await vi.waitFor(() => store.run("nix-store", "--delete", path), { timeout: 20_000, interval: 500 });
        expect(await upstream.queryByHashPart(hashPartOf(path), never)).toBeNull();
      },
      { idleMs: 100, rootMs: 3000 },
    );
  });

  it("sees what others add and delete at once, on a connection that was open before", async () => {
    await withUpstream(async (upstream, opened) => {
      expect(await upstream.queryByHashPart(absent, never)).toBeNull();
      const added = await store.addFile("added", "later");
      expect((await infoOf(upstream, added)).path).toBe(added);
      expect(opened).toHaveLength(1);
    });
  });
});
