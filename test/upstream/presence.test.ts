import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { opcode } from "../../src/protocol/operations.js";
import { encodeError } from "../../src/protocol/stderr.js";
import { encodeString } from "../../src/protocol/writer.js";
import { createDaemonUpstream } from "../../src/upstream/daemon-upstream.js";
import type { Upstream } from "../../src/upstream/upstream.js";
import { answererFor, fakeDaemon, last, type Answerer, type FakeDaemon } from "../support/fake-daemon.js";
import { eventually } from "../support/eventually.js";
import { infoOf, numberedHash, numberedPath } from "../support/path-infos.js";

const never = new AbortController().signal;
const hashes = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, i) => numberedHash(from + i));

/** A store that has the paths with these numbers. */
function having(...numbers: number[]): Answerer {
  const infos = numbers.map((i) => infoOf(numberedPath(i), 1));
  return answererFor(infos, () => Buffer.alloc(0));
}

function setUp(answer: Answerer): { daemon: FakeDaemon; upstream: Upstream } {
  const daemon = fakeDaemon(answer);
  const log = pino({ level: "silent" });
  return { daemon, upstream: createDaemonUpstream({ openDaemon: () => daemon.openDaemon(), log }) };
}

const gone = (daemon: FakeDaemon): Promise<void> =>
  eventually("the connection is closed", () =>
    daemon.connections.every(({ stream }) => stream.readableEnded || stream.destroyed),
  );

describe("findPresent", () => {
  it("asks only which paths there are, over a connection that it closes", async () => {
    const { daemon, upstream } = setUp(having(3, 7));
    expect(await upstream.findPresent(hashes(0, 10), never)).toEqual([numberedHash(3), numberedHash(7)]);
    expect(daemon.connections).toHaveLength(1);
    const operations = daemon.connections[0]?.requests.map(({ operation }) => operation);
    expect(operations).toEqual(Array.from({ length: 10 }, () => opcode.queryPathFromHashPart));
    await gone(daemon);
  });

  it("leaves the connection of the lookups alone", async () => {
    const { daemon, upstream } = setUp(having(1));
    await upstream.queryByHashPart(numberedHash(1), never);
    await upstream.findPresent(hashes(0, 10), never);
    expect(await upstream.queryByHashPart(numberedHash(1), never)).not.toBeNull();
    expect(daemon.connections).toHaveLength(2);
    upstream.close();
  });

  it("goes through thousands, and no further than to the first that are there", async () => {
    const all = hashes(0, 3000);
    const none = setUp(having());
    expect(await none.upstream.findPresent(all, never)).toEqual([]);
    expect(none.daemon.connections[0]?.requests).toHaveLength(3000);
    const some = setUp(having(600, 2900));
    expect(await some.upstream.findPresent(all, never)).toEqual([numberedHash(600)]);
    expect(some.daemon.connections[0]?.requests.length).toBeLessThan(1500);
  });

  it("goes on after a path that the daemon can say nothing of", async () => {
    const usual = having(2);
    const { upstream } = setUp((request, connection) => {
      if (request.argument === numberedHash(0)) return encodeError(0x122, "the database is busy");
      if (request.argument === numberedHash(1))
        return Buffer.concat([last, encodeString("/nix/store/nonsense")]);
      return usual(request, connection);
    });
    expect(await upstream.findPresent(["no hash", ...hashes(0, 4)], never)).toEqual([numberedHash(2)]);
  });

  it("ends with its signal, with the upstream, and with the connection", async () => {
    const { daemon, upstream } = setUp(() => null);
    const abort = new AbortController();
    const first = upstream.findPresent(hashes(0, 3), abort.signal);
    await eventually("it is asked", () => daemon.connections[0]?.requests.length === 3);
    abort.abort(new Error("enough"));
    await expect(first).rejects.toThrow("enough");
    await expect(upstream.findPresent(hashes(0, 3), abort.signal)).rejects.toThrow("enough");

    const second = upstream.findPresent(hashes(0, 3), never);
    await eventually("it is asked again", () => daemon.connections[1]?.requests.length === 3);
    daemon.connections[1]?.stream.destroy();
    await expect(second).rejects.toThrow();

    const third = upstream.findPresent(hashes(0, 3), never);
    await eventually("and again", () => daemon.connections[2]?.requests.length === 3);
    upstream.close();
    await expect(third).rejects.toMatchObject({ code: "closed" });
    await gone(daemon);
  });
});
