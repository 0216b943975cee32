import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DaemonError, ProtocolError } from "../../src/protocol/errors.js";
import { encodeError, readUntilLast, stderrFrame } from "../../src/protocol/stderr.js";
import { encodeString, encodeU64 } from "../../src/protocol/writer.js";
import { cutAt, readerOf } from "../support/wire.js";

const words = (...values: number[]): Buffer => Buffer.concat(values.map(encodeU64));
const fields = Buffer.concat([words(2, 0, 99, 1), encodeString("text")]);
const chatter = Buffer.concat([
  words(stderrFrame.next),
  encodeString("building…\n"),
  words(stderrFrame.startActivity, 1, 3, 105),
  encodeString("copying"),
  fields,
  words(0),
  words(stderrFrame.result, 1, 106),
  fields,
  words(stderrFrame.write),
  encodeString("data"),
  words(stderrFrame.stopActivity, 1),
]);

describe("readUntilLast", () => {
  it("drops log frames and stops right after LAST, wherever the bytes were cut", async () => {
    const message = Buffer.concat([chatter, words(stderrFrame.last, 42)]);
    for (let at = 0; at <= message.length; at += 1) {
      const reader = readerOf(cutAt(message, at));
      await readUntilLast(reader, 0x122);
      expect(await reader.u64()).toBe(42);
    }
  });

  it.each([0x112, 0x119, 0x11a, 0x122, 0x126])("reads an error of protocol 0x%s", async (protocol) => {
    const message = Buffer.concat([chatter, encodeError(protocol, "no such path"), words(5)]);
    const reader = readerOf([message]);
    const error = await readUntilLast(reader, protocol).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(DaemonError);
    expect(error).toMatchObject({ code: "daemon-error", message: "no such path" });
    expect(await reader.u64()).toBe(5);
  });

  it("reads an error with traces and takes its colours away", async () => {
    const message = Buffer.concat([
      words(stderrFrame.error),
      encodeString("Error"),
      words(0),
      encodeString("Error"),
      encodeString("\u001b[31;1merror:\u001b[0m path '\u001b[35;1m/nix/store/x\u001b[0m'\u0007 is gone"),
      words(0, 2, 0),
      encodeString("while one"),
      words(0),
      encodeString("while two"),
    ]);
    const reader = readerOf([message]);
    await expect(readUntilLast(reader, 0x122)).rejects.toThrow(/^error: path '\/nix\/store\/x' +is gone$/);
    expect(reader.buffered).toBe(0);
  });

  it("refuses a daemon that asks for data, and words that are no frame", async () => {
    const asks = readUntilLast(readerOf([words(stderrFrame.read, 100)]), 0x122);
    await expect(asks).rejects.toMatchObject({ code: "unexpected-frame" });
    const nonsense = readUntilLast(readerOf([words(0x1234)]), 0x122);
    await expect(nonsense).rejects.toMatchObject({ code: "unexpected-frame" });
  });

  it("answers frames cut short, oversize or random with a typed error", async () => {
    const full = Buffer.concat([chatter, encodeError(0x122, "x")]);
    for (let length = 0; length < full.length; length += 1) {
      const result = readUntilLast(readerOf([full.subarray(0, length)]), 0x122);
      await expect(result).rejects.toBeInstanceOf(ProtocolError);
    }
    const kinds = fc.constantFrom(...Object.values(stderrFrame));
    const property = fc.asyncProperty(kinds, fc.array(fc.nat()), async (kind, rest) => {
      const result = await readUntilLast(readerOf([words(kind, ...rest)]), 0x122).catch((e: unknown) => e);
      expect(result === undefined || result instanceof ProtocolError || result instanceof DaemonError).toBe(
        true,
      );
    });
    await fc.assert(property, { numRuns: 300 });
  });
});
