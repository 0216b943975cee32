import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ProtocolError } from "../../src/protocol/errors.js";
import { NarFraming, type NarStep } from "../../src/protocol/nar.js";
import { encodeError } from "../../src/protocol/stderr.js";
import { encodeString, encodeU64 } from "../../src/protocol/writer.js";
import { encodeNar, type NarNode } from "../support/nar.js";
import { cutAt } from "../support/wire.js";

const error = encodeError(0x122, "getting status of '/nix/store/x': No such file or directory");
const file: NarNode = { kind: "regular", contents: "hello" };
const tree: NarNode = {
  kind: "directory",
  entries: [
    [
      "bin",
      { kind: "directory", entries: [["run", { kind: "regular", contents: "#!x", executable: true }]] },
    ],
    ["empty", { kind: "regular", contents: "" }],
    ["link", { kind: "symlink", target: "bin/run" }],
    ["none", { kind: "directory", entries: [] }],
    ["text", { kind: "regular", contents: "0123456789abcdef" }],
  ],
};

/** In latin1, which is compared much faster than buffers are. */
interface Fed {
  state: NarStep["state"];
  nar: string;
  rest: string;
}

const fed = (state: NarStep["state"], nar: Buffer, rest: Buffer): Fed => ({
  state,
  nar: nar.toString("latin1"),
  rest: rest.toString("latin1"),
});

/** Feeds pieces until the framing says that the NAR is over. */
function feedAll(size: number, pieces: readonly Buffer[]): Fed {
  const framing = new NarFraming(size);
  const nar: Buffer[] = [];
  for (const [i, piece] of pieces.entries()) {
    const { state, bytes, rest } = framing.feed(piece);
    nar.push(...bytes);
    if (state === "more") continue;
    return fed(state, Buffer.concat(nar), Buffer.concat([rest, ...pieces.slice(i + 1)]));
  }
  return fed("more", Buffer.concat(nar), Buffer.alloc(0));
}

/** Every offset of the NAR at which a token or a length begins. */
function itemOffsets(nar: Buffer): number[] {
  const offsets: number[] = [];
  for (let at = 0; at < nar.length;) {
    offsets.push(at);
    const length = nar.readUInt32LE(at);
    at += 8 + length + (-length & 7);
  }
  return offsets;
}

describe("NarFraming", () => {
  it.each<[string, NarNode]>([
    ["a file", file],
    ["an empty file", { kind: "regular", contents: "" }],
    ["a script", { kind: "regular", contents: "#!/bin/sh\n", executable: true }],
    ["a symlink", { kind: "symlink", target: "/nix/store/elsewhere" }],
    ["a tree", tree],
  ])("finds the end of %s, wherever the bytes were cut", (_what, node) => {
    const nar = encodeNar(node);
    const stream = Buffer.concat([nar, encodeU64(42)]);
    for (let at = 0; at <= stream.length; at += 1) {
      expect(feedAll(nar.length, cutAt(stream, at))).toEqual(fed("end", nar, encodeU64(42)));
    }
    const bytewise = feedAll(
      nar.length,
      Array.from(stream, (byte) => Buffer.of(byte)),
    );
    expect(bytewise).toEqual(fed("end", nar, encodeU64(42)));
  });

  it("finds the end of any NAR cut into any pieces", () => {
    const { node } = fc.letrec<{ node: NarNode }>((tie) => ({
      node: fc.oneof(
        { maxDepth: 4 },
        fc.record({
          kind: fc.constant("regular" as const),
          contents: fc.uint8Array({ maxLength: 99 }).map((bytes) => Buffer.from(bytes)),
          executable: fc.boolean(),
        }),
        fc.record({ kind: fc.constant("symlink" as const), target: fc.string({ minLength: 1 }) }),
        fc.record({
          kind: fc.constant("directory" as const),
          entries: fc.array(fc.tuple(fc.string({ minLength: 1, maxLength: 20 }), tie("node")), {
            maxLength: 4,
          }),
        }),
      ),
    }));
    const property = fc.property(node, fc.array(fc.nat(), { maxLength: 5 }), (any, cuts) => {
      const nar = encodeNar(any);
      const pieces = cutAt(nar, ...cuts.map((cut) => cut % (nar.length + 1)));
      expect(feedAll(nar.length, pieces)).toEqual(fed("end", nar, Buffer.alloc(0)));
    });
    fc.assert(property);
  });

  it("finds an error in place of any token or length, and passes none of it on", () => {
    const nar = encodeNar(tree);
    for (const at of itemOffsets(nar)) {
      const stream = Buffer.concat([nar.subarray(0, at), error, error]);
      const expected = fed("error", nar.subarray(0, at), Buffer.concat([error, error]));
      for (let cut = at; cut <= at + 30; cut += 1) {
        expect(feedAll(nar.length, cutAt(stream, cut)), `error at ${at}, cut at ${cut}`).toEqual(expected);
      }
    }
  });

  it("has begun only when the first node is open", () => {
    const nar = encodeNar(file);
    const framing = new NarFraming(nar.length);
    framing.feed(nar.subarray(0, 24));
    expect(framing.begun).toBe(false);
    framing.feed(nar.subarray(24, 40));
    expect(framing.begun).toBe(true);
  });

  it("refuses a NAR that is sound but shorter or longer than promised, as early as it can", () => {
    const nar = encodeNar(tree);
    expect(() => feedAll(nar.length + 8, [nar])).toThrow("where");
    const big = encodeNar({ kind: "regular", contents: Buffer.alloc(1000) });
    expect(() => feedAll(big.length - 16, [big.subarray(0, 120)])).toThrow(ProtocolError);
    expect(() => feedAll(nar.length - 16, [nar])).toThrow(ProtocolError);
  });

  it("does not copy contents", () => {
    const nar = encodeNar({ kind: "regular", contents: Buffer.alloc(100_000, 1) });
    const { bytes } = new NarFraming(nar.length).feed(nar);
    expect(bytes).toHaveLength(1);
    expect(bytes[0]?.buffer).toBe(nar.buffer);
  });

  it("answers garbage with a typed error, and garbage as contents with no wrong end", () => {
    const start = Buffer.concat(["nix-archive-1", "(", "type"].map(encodeString));
    const property = fc.property(fc.uint8Array({ minLength: 24, maxLength: 200 }), (garbage) => {
      expect(() => feedAll(10_000, [Buffer.from(garbage)])).toThrow(ProtocolError);
      expect(() => feedAll(10_000, [start, Buffer.from(garbage)])).toThrow(ProtocolError);
    });
    fc.assert(property);
    const huge = Buffer.concat([...["regular", "contents"].map(encodeString), Buffer.alloc(8, 0xff)]);
    expect(() => feedAll(10_000, [start, huge])).toThrow(ProtocolError);
  });
});
