import { PassThrough } from "node:stream";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ProtocolError } from "../../src/protocol/errors.js";
import { WireReader } from "../../src/protocol/reader.js";
import { encodeString, encodeStringList, encodeU64 } from "../../src/protocol/writer.js";
import { cutAt, readerOf } from "../support/wire.js";

const unsigned = fc.maxSafeNat();
const text = fc.string({ unit: "binary", maxLength: 60 });
const bounds = { count: 100, length: 1000 };

describe("WireReader", () => {
  it("reads back what was written, wherever the bytes were cut", async () => {
    const property = fc.asyncProperty(unsigned, text, fc.array(text), async (number, string, list) => {
      const message = Buffer.concat([encodeU64(number), encodeString(string), encodeStringList(list)]);
      for (let at = 0; at <= message.length; at += 1) {
        const reader = readerOf(cutAt(message, at));
        expect(await reader.u64()).toBe(number);
        expect(await reader.string(1000)).toBe(string);
        expect(await reader.stringList(bounds)).toEqual(list);
        expect(reader.buffered).toBe(0);
      }
    });
    await fc.assert(property, { numRuns: 20 });
  });

  it("reads values that arrive byte by byte", async () => {
    const message = Buffer.concat([encodeString("abcdefghi"), encodeU64(7)]);
    const reader = readerOf(Array.from(message, (byte) => Buffer.of(byte)));
    expect(await reader.string(9)).toBe("abcdefghi");
    expect(await reader.u64()).toBe(7);
  });

  it("fails with `truncated` in the middle of a value and with `closed` between values", async () => {
    const message = encodeStringList(["one", "another-one"]);
    for (let length = 0; length < message.length; length += 1) {
      const result = readerOf([message.subarray(0, length)]).stringList(bounds);
      await expect(result).rejects.toBeInstanceOf(ProtocolError);
    }
    const cut = (length: number): Promise<string[]> =>
      readerOf([message.subarray(0, length)]).stringList(bounds);
    await expect(cut(8)).rejects.toMatchObject({ code: "closed" });
    await expect(cut(12)).rejects.toMatchObject({ code: "truncated" });
  });

  it("answers garbage with a typed error or a value, and never hangs", async () => {
    const property = fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
      const reader = readerOf([Buffer.from(bytes)]);
      const result = await reader.stringList(bounds).catch((error: unknown) => error);
      expect(Array.isArray(result) || result instanceof ProtocolError).toBe(true);
    });
    await fc.assert(property, { numRuns: 300 });
  });

  it.each([
    ["a string beyond its bound", encodeU64(1001), "oversize"],
    ["an integer beyond 2^53", Buffer.alloc(8, 0xff), "oversize"],
    ["padding that is not zero", Buffer.concat([encodeU64(1), Buffer.from("ab\0\0\0\0\0\0")]), "padding"],
  ])("refuses %s without waiting for more", async (_what, bytes, code) => {
    await expect(readerOf([bytes], { open: true }).string(1000)).rejects.toMatchObject({ code });
  });

  it("refuses a list beyond its bound without waiting for more", async () => {
    const reader = readerOf([encodeU64(101)], { open: true });
    await expect(reader.stringList(bounds)).rejects.toMatchObject({ code: "oversize" });
  });

  it("pauses a stream that runs ahead, and lets it go on when it is read", async () => {
    const stream = new PassThrough({ highWaterMark: 1024 });
    const reader = new WireReader(stream);
    const total = 2 * 1024 * 1024;
    let written = 0;
    const fill = (): void => {
      while (written < total) {
        written += 1024;
        if (!stream.write(Buffer.alloc(1024))) {
          stream.once("drain", fill);
          return;
        }
      }
    };
    fill();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(reader.buffered).toBeLessThan(300 * 1024);
    expect(written).toBeLessThan(total);
    for (let read = 0; read < total;) read += (await reader.chunk()).length;
    expect(written).toBe(total);
  });

  it("hands out chunks as they are, and takes bytes back", async () => {
    const reader = readerOf([Buffer.from("abcdef")]);
    const chunk = await reader.chunk();
    reader.unshift(chunk.subarray(2));
    expect((await reader.bytes(4)).toString()).toBe("cdef");
    await expect(reader.chunk()).rejects.toMatchObject({ code: "closed" });
  });

  it("reports a broken stream with its cause, also when it broke before", async () => {
    const stream = new PassThrough();
    const reader = new WireReader(stream);
    const pending = reader.u64();
    const cause = new Error("cable pulled");
    stream.destroy(cause);
    await expect(pending).rejects.toMatchObject({ code: "closed", message: "cable pulled", cause });
    await expect(new WireReader(stream).u64()).rejects.toMatchObject({ code: "closed" });
  });
});
