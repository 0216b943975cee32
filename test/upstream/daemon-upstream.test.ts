import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import type { RemoteFacts, RemoteHead } from "../../src/link/link.js";
import { opcode } from "../../src/protocol/operations.js";
import type { PathInfo } from "../../src/protocol/path-info.js";
import { encodeError } from "../../src/protocol/stderr.js";
import { encodeString, encodeU64 } from "../../src/protocol/writer.js";
import { createDaemonUpstream } from "../../src/upstream/daemon-upstream.js";
import type { UpstreamLimits } from "../../src/upstream/limits.js";
import type { Upstream } from "../../src/upstream/upstream.js";
import { eventually } from "../support/eventually.js";
import { answererFor, type Answerer, fakeDaemon, type FakeDaemon, last } from "../support/fake-daemon.js";
import { encodeNar } from "../support/nar.js";
import { infoOf, numberedHash, numberedPath } from "../support/path-infos.js";
import { collect } from "../support/wire.js";

const never = new AbortController().signal;
const nar = encodeNar({ kind: "regular", contents: Buffer.alloc(1_500_000, 7) });
const infos = Array.from({ length: 100 }, (_, i) => infoOf(numberedPath(i), nar.length));
const info = infos[1] as PathInfo;
const usual = answererFor(infos, () => nar);

const log = pino({ level: "silent" });

function setUp(
  answer: Answerer = usual,
  limits: Partial<UpstreamLimits> = {},
): { daemon: FakeDaemon; upstream: Upstream; operations: (connection: number) => number[] } {
  const daemon = fakeDaemon(answer);
  const upstream = createDaemonUpstream({ openDaemon: () => daemon.openDaemon(), log, limits });
  const operations = (connection: number): number[] =>
    (daemon.connections[connection]?.requests ?? []).map(({ operation }) => operation);
  return { daemon, upstream, operations };
}

/** A database of that machine may be seen that is never written to. */
function upstreamWithList(daemon: FakeDaemon, limits: Partial<UpstreamLimits>): Upstream {
  const stat = async (path: string): Promise<RemoteFacts> => ({
    kind: "file",
    size: 100_000,
    modifiedAt: path === "/proc/self" ? 60_000 : 0,
  });
  const head = async (_path: string, length: number): Promise<RemoteHead> => ({
    bytes: Buffer.alloc(length),
    tookMs: 1,
  });
  return createDaemonUpstream({
    openDaemon: () => daemon.openDaemon(),
    store: {
      database: "/db.sqlite",
      openFiles: async () => ({ stat, isLink: async () => false, head, close: () => undefined }),
      isMetered: async () => null,
    },
    absenceTimes: { trustMs: 60_000 },
    log,
    limits,
  });
}

/** Often enough for a list. */
async function askInVain(upstream: Upstream): Promise<void> {
  const asked = Array.from({ length: 50 }, () => upstream.queryByHashPart("z".repeat(32), never));
  await Promise.all(asked);
}

const openCount = (daemon: FakeDaemon): number =>
  daemon.connections.filter(({ stream }) => !stream.readableEnded && !stream.destroyed).length;

describe("queryByHashPart", () => {
  it("asks for path, root and info over one connection, and for a root only once", async () => {
    const { daemon, upstream, operations } = setUp();
    expect(await upstream.queryByHashPart(numberedHash(1), never)).toEqual(info);
    expect(await upstream.queryByHashPart(numberedHash(1), never)).toEqual(info);
    expect(await upstream.queryByHashPart("z".repeat(32), never)).toBeNull();
    expect(await upstream.queryByHashPart("../../etc/passwd", never)).toBeNull();
    const { queryPathFromHashPart: byHash, addTempRoot: root, queryPathInfo: about } = opcode;
    expect(operations(0)).toEqual([byHash, root, about, byHash, about, byHash]);
    expect(daemon.connections).toHaveLength(1);
    upstream.close();
  });

  it("pipelines many over one connection", async () => {
    const { daemon, upstream } = setUp();
    const asked = infos.map((_, i) => upstream.queryByHashPart(numberedHash(i), never));
    expect(await Promise.all(asked)).toEqual(infos);
    expect(daemon.connections).toHaveLength(1);
    upstream.close();
  });

  it("looks references up before they are asked for, each once", async () => {
    const [leaf, other] = [infoOf(numberedPath(201), 1), infoOf(numberedPath(202), 1)];
    const middle = { ...infoOf(numberedPath(203), 1), references: [leaf.path, numberedPath(203)] };
    const top = { ...infoOf(numberedPath(204), 1), references: [leaf.path, middle.path, other.path] };
    const asked: string[] = [];
    const answer = answererFor([leaf, other, middle, top], () => nar);
    const { upstream } = setUp((request, from) => {
      asked.push(`${request.operation} ${request.argument}`);
      return answer(request, from);
    });
    const of = (i: number): Promise<PathInfo | null> => upstream.queryByHashPart(numberedHash(i), never);
    expect(await of(204)).toEqual(top);
    expect(await Promise.all([of(203), of(201)])).toEqual([middle, leaf]);
    expect(await of(202)).toEqual(other);
    const { queryPathFromHashPart: byHash, addTempRoot: root, queryPathInfo: about } = opcode;
    const named = [top, leaf, middle, other].flatMap(({ path }) => [`${root} ${path}`, `${about} ${path}`]);
    expect(asked).toEqual([`${byHash} ${numberedHash(204)}`, ...named]);
    // What was told once is asked for anew.
    expect(await of(202)).toEqual(other);
    expect(asked.at(-2)).toBe(`${byHash} ${numberedHash(202)}`);
    upstream.close();
  });

  it("asks again where an early answer is too old, or was none", async () => {
    const [leaf, gone] = [infoOf(numberedPath(201), 1), numberedPath(202)];
    const top = { ...infoOf(numberedPath(204), 1), references: [leaf.path, gone] };
    const { upstream, operations } = setUp(
      answererFor([leaf, top], () => nar),
      { aheadMs: 30 },
    );
    await upstream.queryByHashPart(numberedHash(204), never);
    expect(await upstream.queryByHashPart(numberedHash(202), never)).toBeNull();
    expect(operations(0).at(-1)).toBe(opcode.queryPathFromHashPart);
    await sleep(60);
    expect(await upstream.queryByHashPart(numberedHash(201), never)).toEqual(leaf);
    expect(operations(0).at(-2)).toBe(opcode.queryPathFromHashPart);
    upstream.close();
  });

  it("rejects in time when the daemon is stuck, and asks a fresh one next", async () => {
    let stuck = true;
    const { daemon, upstream } = setUp((request, from) => (stuck ? null : usual(request, from)), {
      lookupMs: 80,
    });
    const begun = performance.now();
    const both = await Promise.allSettled(
      [1, 2].map((i) => upstream.queryByHashPart(numberedHash(i), never)),
    );
    expect(performance.now() - begun).toBeLessThan(1000);
    expect(both).toMatchObject([{ reason: { code: "timeout" } }, { reason: { code: "timeout" } }]);
    stuck = false;
    expect(await upstream.queryByHashPart(numberedHash(1), never)).toEqual(info);
    expect(daemon.connections).toHaveLength(2);
    upstream.close();
  });

  it("rejects in time when no connection can be opened, or none shakes hands", async () => {
    const open = (): Promise<Duplex> => new Promise(() => undefined);
    const upstream = createDaemonUpstream({ openDaemon: open, log, limits: { lookupMs: 50, openMs: 80 } });
    await expect(upstream.queryByHashPart(numberedHash(1), never)).rejects.toMatchObject({ code: "timeout" });
    upstream.close();
    const refused = createDaemonUpstream({ openDaemon: () => Promise.reject(new Error("refused")), log });
    await expect(refused.queryByHashPart(numberedHash(1), never)).rejects.toThrow("refused");
    refused.close();
  });

  it("is patient while a list arrives: the link is busy, not stuck", async () => {
    const list = [encodeU64(100), ...infos.map(({ path }) => encodeString(path))];
    let slow = false;
    const daemon = fakeDaemon((request, { stream }) => {
      if (request.operation === opcode.queryAllValidPaths) {
        slow = true;
        for (const [i, piece] of list.entries()) setTimeout(() => stream.write(piece), 10 * i);
        return last;
      }
      const answer = usual(request, { stream, requests: [] });
      if (!slow) return answer;
      setTimeout(() => stream.write(answer ?? ""), 400);
      return null;
    });
    const upstream = upstreamWithList(daemon, { lookupMs: 100, busyLookupMs: 5_000, quietMs: 200 });
    await askInVain(upstream);
    await eventually("the list is on its way", () => slow);
    expect(await upstream.queryByHashPart("z".repeat(32), never)).toBeNull();
    upstream.close();
  });

  it("lets what it finds judge the list of all paths", async () => {
    const daemon = fakeDaemon((request, from) =>
      request.operation === opcode.queryAllValidPaths
        ? Buffer.concat([last, encodeU64(0)])
        : usual(request, from),
    );
    const upstream = upstreamWithList(daemon, {});
    await askInVain(upstream);
    await eventually("it is listed", () => upstream.isAbsent?.("z".repeat(32)) === true);
    expect(await upstream.queryByHashPart(numberedHash(1), never)).toEqual(info);
    expect(upstream.isAbsent?.("z".repeat(32))).toBe(false);
    upstream.close();
  });

  it("is patient while NARs arrive: the link is busy, not stuck", async () => {
    const trickle = setUp(
      (request, from) => {
        if (request.operation === opcode.queryPathFromHashPart) {
          setTimeout(() => from.stream.write(usual(request, from)), 150);
          return null;
        }
        if (request.operation !== opcode.narFromPath) return usual(request, from);
        const bytes = usual(request, from) as Buffer;
        for (let i = 0; i < 20; i += 1) {
          const part = bytes.subarray((i * bytes.length) / 20, ((i + 1) * bytes.length) / 20);
          setTimeout(() => from.stream.write(part), 20 * i);
        }
        return null;
      },
      { lookupMs: 80 },
    );
    const stream = await trickle.upstream.openNar(info, never);
    const whole = collect(stream);
    expect(await trickle.upstream.queryByHashPart(numberedHash(1), never)).toEqual(info);
    expect((await whole).length).toBe(nar.length);
    trickle.upstream.close();
  });

  it("tries once more when a connection had died unnoticed", async () => {
    const { daemon, upstream } = setUp((request, from) => {
      if (from === daemon.connections[0] && from.requests.length > 3) {
        from.stream.end();
        return null;
      }
      return usual(request, from);
    });
    await upstream.queryByHashPart(numberedHash(1), never);
    const asked = [2, 3, 4].map((i) => upstream.queryByHashPart(numberedHash(i), never));
    expect(await Promise.all(asked)).toEqual(infos.slice(2, 5));
    expect(daemon.connections).toHaveLength(2);
    upstream.close();
  });

  it("follows the caller's signal", async () => {
    const { upstream } = setUp(() => null);
    const abort = new AbortController();
    const asked = upstream.queryByHashPart(numberedHash(1), abort.signal);
    abort.abort(new Error("gone"));
    await expect(asked).rejects.toThrow("gone");
    await expect(upstream.queryByHashPart(numberedHash(1), abort.signal)).rejects.toThrow("gone");
    upstream.close();
  });

  it("holds its roots for a while, and an unused connection less long", async () => {
    const { daemon, upstream } = setUp(usual, { idleMs: 60, rootMs: 300 });
    await upstream.queryByHashPart("z".repeat(32), never);
    await sleep(150);
    expect(openCount(daemon)).toBe(0);
    await upstream.queryByHashPart(numberedHash(1), never);
    await sleep(150);
    expect(openCount(daemon)).toBe(1);
    await sleep(400);
    expect(openCount(daemon)).toBe(0);
    upstream.close();
  });

  it("lets roots go in time where questions never cease", async () => {
    const { daemon, upstream } = setUp(usual, { idleMs: 60, rootMs: 60, lookupLifeMs: 100 });
    for (let i = 0; i < 20; i += 1) {
      await upstream.queryByHashPart(numberedHash(1), never);
      await sleep(30);
    }
    expect(daemon.connections.length).toBeGreaterThan(2);
    expect(daemon.connections[0]?.stream.readableEnded).toBe(true);
    upstream.close();
    await sleep(20);
    expect(openCount(daemon)).toBe(0);
  });
});

describe("openNar", () => {
  it("gives the NAR with its path held, and uses the connection again", async () => {
    const { daemon, upstream, operations } = setUp();
    for (let i = 0; i < 3; i += 1) {
      expect((await collect(await upstream.openNar(info, never))).equals(nar)).toBe(true);
    }
    expect(operations(0).slice(0, 2)).toEqual([opcode.addTempRoot, opcode.narFromPath]);
    expect(daemon.connections).toHaveLength(1);
    upstream.close();
  });

  it("closes unused connections after a while", async () => {
    const { daemon, upstream } = setUp(usual, { idleMs: 50 });
    await collect(await upstream.openNar(info, never));
    expect(openCount(daemon)).toBe(1);
    await sleep(200);
    expect(openCount(daemon)).toBe(0);
    upstream.close();
  });

  it("opens no more connections than allowed, one after another, and serves all", async () => {
    const daemon = fakeDaemon(usual);
    let [opening, most] = [0, 0];
    const openDaemon = async (): Promise<Duplex> => {
      opening += 1;
      most = Math.max(most, opening);
      await sleep(5);
      opening -= 1;
      return daemon.openDaemon();
    };
    const upstream = createDaemonUpstream({ openDaemon, log, limits: { narConnections: 4 } });
    const all = infos.slice(0, 30).map(async (one) => collect(await upstream.openNar(one, never)));
    for (const bytes of await Promise.all(all)) expect(bytes.length).toBe(nar.length);
    expect(daemon.connections.length).toBeLessThanOrEqual(4);
    expect(most).toBe(1);
    upstream.close();
  });

  it("takes what another gives back rather than wait for one of its own", async () => {
    const daemon = fakeDaemon(usual);
    const openDaemon = (): Promise<Duplex> =>
      daemon.connections.length === 0 ? daemon.openDaemon() : new Promise(() => undefined);
    const upstream = createDaemonUpstream({ openDaemon, log });
    const all = infos.slice(0, 30).map(async (one) => collect(await upstream.openNar(one, never)));
    for (const bytes of await Promise.all(all)) expect(bytes.length).toBe(nar.length);
    upstream.close();
  });

  it("never loses a place to readers that go away, whenever they go", async () => {
    const { upstream } = setUp(usual, { narConnections: 2 });
    for (let i = 0; i < 20; i += 1) {
      const abort = new AbortController();
      const opened = upstream.openNar(info, i % 2 === 0 ? abort.signal : never);
      opened.catch(() => undefined);
      if (i % 4 === 0) abort.abort(new Error("gone"));
      if (i % 4 === 2) setTimeout(() => abort.abort(new Error("gone")), 1);
      const stream = await opened.catch(() => null);
      if (i % 3 === 0) await stream?.[Symbol.asyncIterator]().next();
      stream?.destroy();
    }
    const waiting = new AbortController();
    const streams = await Promise.all([1, 2].map(() => upstream.openNar(info, never)));
    const third = upstream.openNar(info, waiting.signal);
    waiting.abort(new Error("no patience"));
    await expect(third).rejects.toThrow("no patience");
    const sizes = await Promise.all(streams.map(async (stream) => (await collect(stream)).length));
    expect(sizes).toEqual([nar.length, nar.length]);
    upstream.close();
  });

  it("gives a place back after every way to fail", async () => {
    let answer: Buffer | null = null;
    const { upstream } = setUp(
      (request, from) => (request.operation === opcode.narFromPath ? answer : usual(request, from)),
      { narConnections: 1, stallMs: 60 },
    );
    await expect(upstream.openNar(info, never)).rejects.toMatchObject({ code: "stalled" });
    answer = Buffer.concat([usual({ operation: opcode.addTempRoot, argument: "" }, {} as never) as Buffer]);
    await expect(upstream.openNar(info, never)).rejects.toMatchObject({ code: "not-valid" });
    answer = encodeError(0x122, "not valid");
    await expect(upstream.openNar(info, never)).rejects.toMatchObject({ code: "not-valid" });
    answer = (usual({ operation: opcode.narFromPath, argument: info.path }, {} as never) as Buffer).subarray(
      0,
      500,
    );
    const stream = await upstream.openNar(info, never);
    await expect(collect(stream)).rejects.toMatchObject({ code: "stalled" });
    answer = usual({ operation: opcode.narFromPath, argument: info.path }, {} as never);
    expect((await collect(await upstream.openNar(info, never))).length).toBe(nar.length);
    upstream.close();
  });

  it("tries once more when an unused connection had died unnoticed", async () => {
    const { daemon, upstream } = setUp((request, from) => {
      if (from === daemon.connections[0] && from.requests.length > 2) {
        from.stream.end();
        return null;
      }
      return usual(request, from);
    });
    await collect(await upstream.openNar(info, never));
    expect((await collect(await upstream.openNar(info, never))).length).toBe(nar.length);
    expect(daemon.connections).toHaveLength(2);
    upstream.close();
  });

  it("lets nobody wait behind readers that all rest", async () => {
    const { upstream } = setUp(usual, { narConnections: 1, turnMs: 60 });
    const resting = await upstream.openNar(info, never);
    await expect(upstream.openNar(info, never)).rejects.toMatchObject({ code: "busy" });
    resting.destroy();
    expect((await collect(await upstream.openNar(info, never))).length).toBe(nar.length);
    upstream.close();
  });
});

describe("close", () => {
  it("ends what is under way and what waits, and everything after it", async () => {
    const answer: Answerer = (request, from) =>
      request.operation === opcode.queryPathFromHashPart ? null : usual(request, from);
    const { daemon, upstream } = setUp(answer, { narConnections: 1 });
    const stream = await upstream.openNar(info, never);
    const under = [upstream.queryByHashPart(numberedHash(1), never), upstream.openNar(info, never)];
    const settled = Promise.allSettled(under);
    await sleep(20);
    upstream.close();
    upstream.close();
    for (const result of await settled) expect(result).toMatchObject({ reason: { code: "closed" } });
    await expect(collect(stream)).rejects.toMatchObject({ code: "closed" });
    await expect(upstream.queryByHashPart(numberedHash(1), never)).rejects.toMatchObject({ code: "closed" });
    await expect(upstream.openNar(info, never)).rejects.toMatchObject({ code: "closed" });
    await sleep(20);
    expect(openCount(daemon)).toBe(0);
  });
});
