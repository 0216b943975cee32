import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ProtocolError } from "../../src/protocol/errors.js";
import * as operations from "../../src/protocol/operations.js";
import type { PathInfo } from "../../src/protocol/path-info.js";
import { encodeString, encodeStringList, encodeU64 } from "../../src/protocol/writer.js";
import { cutAt, readerOf } from "../support/wire.js";

const protocol = 0x122;
const hashPart = fc.string({
  unit: fc.constantFrom(..."0123456789abcdfghijklmnpqrsvwxyz".split("")),
  minLength: 32,
  maxLength: 32,
});
const storePath = hashPart.map((hash) => `/nix/store/${hash}-thing-1.0`);
const pathInfo: fc.Arbitrary<PathInfo> = fc.record({
  path: storePath,
  narHash: fc.string({
    unit: fc.constantFrom(..."0123456789abcdef".split("")),
    minLength: 64,
    maxLength: 64,
  }),
  narSize: fc.maxSafeNat(),
  references: fc.array(storePath, { maxLength: 5 }),
  deriver: fc.option(storePath),
  signatures: fc.array(
    fc.base64String({ minLength: 4 }).map((sig) => `pi-1:${sig}`),
    { maxLength: 3 },
  ),
  ca: fc.option(fc.constant("fixed:r:sha256:04zwf782yjwnh3q6hz5izfd6jyip8kgw6g6yj43fiqhbyhdd0dqw")),
});
const example: PathInfo = {
  path: `/nix/store/${"a".repeat(32)}-x`,
  narHash: "0".repeat(64),
  narSize: 120,
  references: [],
  deriver: null,
  signatures: [],
  ca: null,
};

describe("queryPathInfo", () => {
  it("reads back any path info, wherever the bytes were cut", async () => {
    const property = fc.asyncProperty(pathInfo, fc.nat(), async (info, seed) => {
      const reply = operations.encodePathInfo(info);
      const reader = readerOf(cutAt(reply, seed % (reply.length + 1)));
      expect(await operations.queryPathInfo(info.path).readReply(reader, protocol)).toEqual(info);
      expect(reader.buffered).toBe(0);
    });
    await fc.assert(property);
  });

  it("gives null for a path that is not valid", async () => {
    const reader = readerOf([operations.encodePathInfo(null)]);
    expect(await operations.queryPathInfo(example.path).readReply(reader, protocol)).toBeNull();
  });

  it.each([
    ["a hash of another kind", { narHash: "sha256:abc" }],
    ["a reference that is no store path", { references: ["/etc/passwd"] }],
    ["a deriver below a store path", { deriver: `${example.path}/bin` }],
    ["a signature that begins another line", { signatures: ["pi-1:abc\nStorePath: /x"] }],
    ["a content address with a blank", { ca: "fixed: x" }],
  ])("refuses %s, after reading all of the reply", async (_what, wrong) => {
    const reader = readerOf([operations.encodePathInfo({ ...example, ...wrong }), encodeU64(77)]);
    const result = operations.queryPathInfo(example.path).readReply(reader, protocol);
    await expect(result).rejects.toMatchObject({ code: "bad-value" });
    expect(await reader.u64()).toBe(77);
  });

  it("answers replies cut short or random with a typed error", async () => {
    const reply = operations.encodePathInfo({ ...example, references: [example.path] });
    for (let length = 0; length < reply.length; length += 1) {
      const result = operations
        .queryPathInfo(example.path)
        .readReply(readerOf([reply.subarray(0, length)]), protocol);
      await expect(result).rejects.toBeInstanceOf(ProtocolError);
    }
    const property = fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
      const reader = readerOf([Buffer.concat([encodeU64(1), bytes])]);
      const result = operations.queryPathInfo(example.path).readReply(reader, protocol);
      await expect(result).rejects.toBeInstanceOf(ProtocolError);
    });
    await fc.assert(property);
  });
});

describe("the other operations", () => {
  it("are asked as Nix does", () => {
    const path = encodeString(example.path);
    const request = (operation: operations.Operation<unknown>, version = protocol): Buffer =>
      operation.request(version);
    expect(request(operations.isValidPath(example.path))).toEqual(Buffer.concat([encodeU64(1), path]));
    expect(request(operations.addTempRoot(example.path))).toEqual(Buffer.concat([encodeU64(11), path]));
    expect(request(operations.queryAllValidPaths())).toEqual(encodeU64(23));
    expect(request(operations.queryPathInfo(example.path))).toEqual(Buffer.concat([encodeU64(26), path]));
    expect(operations.encodeNarFromPath(example.path)).toEqual(Buffer.concat([encodeU64(38), path]));
    const list = Buffer.concat([encodeU64(31), encodeStringList([example.path])]);
    expect(request(operations.queryValidPaths([example.path]), 0x11a)).toEqual(list);
    const withFlag = Buffer.concat([list, encodeU64(0)]);
    expect(request(operations.queryValidPaths([example.path]), 0x11b)).toEqual(withFlag);
  });

  it("reads a path by its hash part, and refuses another path", async () => {
    const ask = operations.queryPathFromHashPart("a".repeat(32));
    const reply = (text: string): Promise<string | null> =>
      ask.readReply(readerOf([encodeString(text)]), protocol);
    expect(await reply(example.path)).toBe(example.path);
    expect(await reply("")).toBeNull();
    await expect(reply(`/nix/store/${"b".repeat(32)}-x`)).rejects.toMatchObject({ code: "bad-value" });
    await expect(reply("/etc/passwd")).rejects.toMatchObject({ code: "bad-value" });
  });

  it("reads yes and no, and lists no longer than they can be", async () => {
    const one = encodeU64(1);
    expect(await operations.isValidPath(example.path).readReply(readerOf([one]), protocol)).toBe(true);
    expect(await operations.isValidPath(example.path).readReply(readerOf([encodeU64(0)]), protocol)).toBe(
      false,
    );
    await operations.addTempRoot(example.path).readReply(readerOf([one]), protocol);
    const two = encodeStringList([example.path, example.path]);
    const valid = operations.queryValidPaths([example.path]).readReply(readerOf([two]), protocol);
    await expect(valid).rejects.toMatchObject({ code: "oversize" });
    const all = operations.queryAllValidPaths().readReply(readerOf([two]), protocol);
    expect(await all).toHaveLength(2);
  });

  it("tells of every path as it arrives, and lets who listens refuse", async () => {
    const paths = Array.from({ length: 1_200 }, (_, i) => `/nix/store/${String(i).padStart(32, "0")}-x`);
    const told: string[] = [];
    const each = operations.eachValidPath((count) => {
      told.push(String(count));
      return (path) => told.push(path.toString());
    });
    expect(each.request(protocol)).toEqual(encodeU64(23));
    await each.readReply(readerOf([encodeStringList(paths)]), protocol);
    expect(told).toEqual(["1200", ...paths]);
    const refused = operations.eachValidPath(() => {
      throw new Error("too many");
    });
    await expect(refused.readReply(readerOf([encodeU64(9)]), protocol)).rejects.toThrow("too many");
  });
});
