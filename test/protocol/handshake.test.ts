import { describe, expect, it } from "vitest";
import { clientHandshake, serverHandshake, type Handshake } from "../../src/protocol/handshake.js";
import { WireReader } from "../../src/protocol/reader.js";
import { encodeError, stderrFrame } from "../../src/protocol/stderr.js";
import { describeProtocol, negotiate } from "../../src/protocol/version.js";
import { encodeString, encodeStringList, encodeU64 } from "../../src/protocol/writer.js";
import { cutAt, duplexPair, readerOf } from "../support/wire.js";

const words = (...values: number[]): Buffer => Buffer.concat(values.map(encodeU64));
const greeting = 0x6478696f;

async function shake(client: number, server: number): Promise<[Handshake, Handshake]> {
  const [near, far] = duplexPair();
  return Promise.all([
    clientHandshake(new WireReader(near), (bytes) => near.write(bytes), client),
    serverHandshake(new WireReader(far), (bytes) => far.write(bytes), {
      nixVersion: "2.99",
      protocol: server,
    }),
  ]);
}

describe("handshake", () => {
  it("agrees on the lower version, for every pair from 1.18 to 1.39", async () => {
    for (let client = 0x112; client <= 0x127; client += 1) {
      for (let server = 0x112; server <= 0x127; server += 1) {
        const [near, far] = await shake(client, server);
        const protocol = Math.min(client, server);
        expect([near.protocol, far.protocol]).toEqual([protocol, protocol]);
        expect(near.nixVersion).toBe(protocol >= 0x121 ? "2.99" : null);
        expect(near.trusted).toBe(protocol >= 0x123 ? true : null);
      }
    }
  });

  it("reads what Nix 2.8 sends, wherever the bytes were cut, and sends what it expects", async () => {
    const reply = Buffer.concat([words(greeting, 0x122), encodeString("2.8.0"), words(stderrFrame.last)]);
    for (let at = 0; at <= reply.length; at += 1) {
      const sent: Buffer[] = [];
      const result = await clientHandshake(readerOf(cutAt(reply, at)), (bytes) => void sent.push(bytes));
      expect(result).toEqual({ protocol: 0x122, nixVersion: "2.8.0", trusted: null });
      expect(Buffer.concat(sent)).toEqual(words(0x6e697863, 0x126, 0, 0));
    }
  });

  it("reads what Nix 2.34 sends: features and trust", async () => {
    const reply = Buffer.concat([
      words(greeting, 0x126),
      encodeStringList(["some-feature"]),
      encodeString("2.34.8"),
      words(2, stderrFrame.last),
    ]);
    const sent: Buffer[] = [];
    const result = await clientHandshake(readerOf([reply]), (bytes) => void sent.push(bytes));
    expect(result).toMatchObject({ protocol: 0x126, nixVersion: "2.34.8", trusted: false });
    expect(Buffer.concat(sent)).toEqual(words(0x6e697863, 0x126, 0, 0, 0));
  });

  it("refuses an old daemon with a sentence for people", async () => {
    const result = clientHandshake(readerOf([words(greeting, 0x111)]), () => undefined);
    await expect(result).rejects.toMatchObject({ code: "unsupported-version" });
    await expect(result).rejects.toThrow("worker protocol 1.17; 1.18 or a newer 1.x is needed");
  });

  it("refuses what is no daemon, and passes on what the daemon says against the client", async () => {
    const shell = clientHandshake(readerOf([Buffer.from("Welcome to Debian!\r\n")]), () => undefined);
    await expect(shell).rejects.toMatchObject({ code: "bad-magic" });
    const refusal = Buffer.concat([
      words(greeting, 0x122),
      encodeString("2.8.0"),
      encodeError(0x122, "user 'eve' is not allowed to connect to the Nix daemon"),
    ]);
    const refused = clientHandshake(readerOf([refusal]), () => undefined);
    await expect(refused).rejects.toMatchObject({ code: "daemon-error", message: /'eve' is not allowed/ });
    const gone = clientHandshake(readerOf([]), () => undefined);
    await expect(gone).rejects.toMatchObject({ code: "closed" });
  });
});

describe("version", () => {
  it("names versions as people do and refuses another major", () => {
    expect(describeProtocol(0x122)).toBe("1.34");
    expect(negotiate(0x126, 0x127)).toBe(0x126);
    expect(() => negotiate(0x126, 0x226)).toThrow("worker protocol 2.38");
  });
});
