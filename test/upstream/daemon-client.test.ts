import { PassThrough } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { isValidPath, opcode, queryPathFromHashPart, queryPathInfo } from "../../src/protocol/operations.js";
import { encodeError } from "../../src/protocol/stderr.js";
import { encodeString, encodeU64 } from "../../src/protocol/writer.js";
import { DaemonClient } from "../../src/upstream/daemon-client.js";
import { handshakeDaemon } from "../../src/upstream/handshake-daemon.js";
import type { NarWatch } from "../../src/upstream/nar-stream.js";
import { answererFor, type Answerer, fakeDaemon, last } from "../support/fake-daemon.js";
import { encodeNar } from "../support/nar.js";
import { infoOf } from "../support/path-infos.js";
import { collect } from "../support/wire.js";

const path = `/nix/store/${"a".repeat(32)}-x`;
const smallNar = encodeNar({ kind: "regular", contents: "hello" });
const bigNar = encodeNar({ kind: "regular", contents: Buffer.alloc(3_000_000, 7) });
const watch: NarWatch = { stallMs: 300, wholeNarBytes: 4096, onBytes: () => undefined };
const small = infoOf(path, smallNar.length);
const big = infoOf(path, bigNar.length);
const noop = (): void => undefined;

async function clientOf(answer: Answerer): Promise<DaemonClient> {
  return DaemonClient.connect(await fakeDaemon(answer).openDaemon(), { ms: 1000 });
}

describe("DaemonClient", () => {
  it("answers requests in order although all are written before the first answer", async () => {
    const held: (() => void)[] = [];
    const client = await clientOf(({ argument }, { stream }) => {
      const yes = argument.endsWith("even");
      held.push(() => stream.write(Buffer.concat([last, encodeU64(yes ? 1 : 0)])));
      if (held.length === 500) for (const write of held) write();
      return null;
    });
    const names = Array.from({ length: 500 }, (_, i) => `${path}-${i % 2 === 0 ? "even" : "odd"}`);
    const answers = await Promise.all(names.map((name) => client.ask(isValidPath(name))));
    expect(answers).toEqual(names.map((_, i) => i % 2 === 0));
    expect(client.pending).toBe(0);
  });

  it("goes on after an error of the daemon and after an answer that cannot be true", async () => {
    const client = await clientOf(({ operation }) => {
      if (operation === opcode.isValidPath) return encodeError(0x122, "path is not in the Nix store");
      return Buffer.concat([last, encodeString(path)]);
    });
    const results = await Promise.allSettled([
      client.ask(isValidPath("/x")),
      client.ask(queryPathFromHashPart("b".repeat(32))),
      client.ask(queryPathFromHashPart("a".repeat(32))),
    ]);
    expect(results).toMatchObject([
      { reason: { code: "daemon-error", message: "path is not in the Nix store" } },
      { reason: { code: "bad-value" } },
      { value: path },
    ]);
    expect(client.failure).toBeNull();
  });

  it("rejects everything that is under way, and all that follows, when bytes make no sense", async () => {
    const client = await clientOf(() => Buffer.alloc(8, 1));
    const results = await Promise.allSettled([client.ask(isValidPath("/x")), client.ask(isValidPath("/y"))]);
    const fault = { reason: { code: "oversize" } };
    expect(results).toMatchObject([fault, fault]);
    await expect(client.ask(isValidPath("/z"))).rejects.toMatchObject({ code: "oversize" });
    await expect(client.closed).resolves.toMatchObject({ code: "oversize" });
  });

  it("notices a daemon that goes away, busy or idle", async () => {
    const idle = await clientOf(() => null);
    idle.destroy();
    await expect(idle.closed).resolves.toMatchObject({ code: "closed" });
    const daemon = fakeDaemon(() => null);
    const unused = await DaemonClient.connect(await daemon.openDaemon(), { ms: 1000 });
    daemon.connections[0]?.stream.end();
    await expect(unused.closed).resolves.toMatchObject({ code: "closed" });
    const busy = await DaemonClient.connect(await daemon.openDaemon(), { ms: 1000 });
    const asked = busy.ask(queryPathInfo(path));
    await sleep(20);
    daemon.connections[1]?.stream.end(last.subarray(0, 3));
    await expect(asked).rejects.toMatchObject({ code: "truncated" });
  });

  it("gives a NAR and is usable again after it", async () => {
    const client = await clientOf(answererFor([big], (name) => (name === path ? bigNar : smallNar)));
    const ends: (Error | null)[] = [];
    const stream = await client.narFromPath(big, watch, () => ends.push(client.failure));
    const behind = client.ask(queryPathInfo(path));
    expect((await collect(stream)).equals(bigNar)).toBe(true);
    expect(await behind).toEqual(big);
    expect(ends).toEqual([null]);
    expect(client.failure).toBeNull();
  });

  it("does not read on while the reader rests, which is no stall", async () => {
    let bytes = 0;
    const client = await clientOf(answererFor([], () => bigNar));
    const onBytes = (count: number): void => void (bytes += count);
    const stream = await client.narFromPath(big, { ...watch, stallMs: 50, onBytes }, noop);
    await sleep(200);
    expect(bytes).toBeLessThan(2_000_000);
    expect((await collect(stream)).length).toBe(bigNar.length);
  });

  it("ends a NAR that gets no further with `stalled`", async () => {
    const client = await clientOf(answererFor([], () => bigNar.subarray(0, 100_000)));
    const ends: (Error | null)[] = [];
    const stream = await client.narFromPath(big, watch, () => ends.push(client.failure));
    await expect(collect(stream)).rejects.toMatchObject({ code: "stalled" });
    expect(ends).toMatchObject([{ code: "stalled" }]);
  });

  const damaged: [string, Buffer][] = [
    ["in place of the NAR", Buffer.alloc(0)],
    ["after the magic", bigNar.subarray(0, 24)],
  ];
  it.each(damaged)("rejects with `not-valid` when the error comes %s", async (_where, begin) => {
    const error = encodeError(0x122, "getting status of '/nix/store/x': No such file or directory");
    const client = await clientOf(answererFor([], () => Buffer.concat([begin, error, error])));
    const opened = client.narFromPath(big, watch, noop);
    await expect(opened).rejects.toMatchObject({ code: "not-valid", message: /No such file or directory/ });
  });

  it("rejects with `not-valid` when the daemon refuses before LAST, and stays usable", async () => {
    const client = await clientOf(({ operation }) =>
      operation === opcode.narFromPath
        ? encodeError(0x122, "path is not valid")
        : Buffer.concat([last, encodeU64(1)]),
    );
    await expect(client.narFromPath(big, watch, noop)).rejects.toMatchObject({ code: "not-valid" });
    expect(await client.ask(isValidPath(path))).toBe(true);
  });

  it("never gives a small NAR that is shorter than promised", async () => {
    const client = await clientOf(answererFor([], () => smallNar));
    const opened = client.narFromPath({ ...small, narSize: smallNar.length + 16 }, watch, noop);
    await expect(opened).rejects.toMatchObject({ code: "not-valid" });
  });

  it("ends a big NAR that breaks later with an error, and passes no error text on", async () => {
    const tree = encodeNar({
      kind: "directory",
      entries: [
        ["a", { kind: "regular", contents: Buffer.alloc(200_000) }],
        ["b", { kind: "regular", contents: "b" }],
      ],
    });
    const cut = tree.indexOf(encodeString("entry"), 100_000);
    const broken = Buffer.concat([tree.subarray(0, cut), encodeError(0x122, "disk on fire")]);
    const client = await clientOf(answererFor([], () => broken));
    const stream = await client.narFromPath(infoOf(path, tree.length), watch, noop);
    const got: Buffer[] = [];
    const read = async (): Promise<void> => {
      for await (const piece of stream) got.push(piece as Buffer);
    };
    await expect(read()).rejects.toMatchObject({ code: "nar-damaged", message: /disk on fire/ });
    const text = Buffer.concat(got);
    expect(text.equals(tree.subarray(0, text.length))).toBe(true);
  });

  it("ends with the stream that nobody reads any more", async () => {
    const client = await clientOf(answererFor([], () => bigNar));
    let ends = 0;
    const stream = await client.narFromPath(big, watch, () => (ends += 1));
    const behind = client.ask(isValidPath(path));
    stream.destroy();
    await expect(client.closed).resolves.toMatchObject({ code: "aborted" });
    await expect(behind).rejects.toMatchObject({ code: "aborted" });
    expect(ends).toBe(1);
  });
});

describe("handshakeDaemon", () => {
  it("tells what answers, and closes the stream", async () => {
    const stream = await fakeDaemon(() => null).openDaemon();
    expect(await handshakeDaemon(stream, 1000)).toEqual({
      protocol: 0x122,
      nixVersion: "2.8.0",
      trusted: null,
    });
    expect(stream.destroyed).toBe(true);
  });

  it("gives up on silence in time, and on what is no daemon at once", async () => {
    const silent = new PassThrough();
    // A PassThrough would echo the greeting.
    silent.write = () => true;
    await expect(handshakeDaemon(silent, 50)).rejects.toMatchObject({ code: "timeout" });
    expect(silent.destroyed).toBe(true);
    await expect(handshakeDaemon(new PassThrough(), 1000)).rejects.toMatchObject({ code: "bad-magic" });
    const gone = new PassThrough();
    gone.destroy(new Error("reset"));
    await expect(handshakeDaemon(gone, 1000)).rejects.toMatchObject({ code: "closed" });
  });
});
