// Streams for tests of the protocol: bytes that arrive in chosen pieces, and two ends of one connection.

import { Duplex, PassThrough } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { WireReader } from "../../src/protocol/reader.js";
import type { NarBytes } from "../../src/upstream/upstream.js";

/** A reader of these pieces, after which the stream ends (or stays open with `open`). */
export function readerOf(pieces: readonly Buffer[], options: { open?: boolean } = {}): WireReader {
  const stream = new PassThrough();
  for (const piece of pieces) stream.write(piece);
  if (options.open !== true) stream.end();
  return new WireReader(stream);
}

/** `bytes` cut at the given offsets. */
export function cutAt(bytes: Buffer, ...offsets: readonly number[]): Buffer[] {
  const edges = [0, ...offsets.toSorted((a, b) => a - b), bytes.length];
  return edges.slice(1).map((end, i) => bytes.subarray(edges[i], end));
}

/** Both ends of a connection in memory: what one writes the other reads; either's end or destruction shows. */
export function duplexPair(): [Duplex, Duplex] {
  const [there, back] = [new PassThrough(), new PassThrough()];
  const end = (readable: PassThrough, writable: PassThrough): Duplex => {
    const duplex = new Duplex({
      read: () => readable.resume(),
      write: (chunk: Buffer, _encoding, done) => void writable.write(chunk, () => done()),
      final: (done) => void writable.end(done),
      destroy: (error, done) => {
        writable.end();
        readable.destroy();
        done(error);
      },
    });
    readable.on("data", (chunk: Buffer) => {
      if (!duplex.push(chunk)) readable.pause();
    });
    readable.on("end", () => duplex.push(null));
    readable.on("error", () => undefined);
    writable.on("error", () => undefined);
    return duplex;
  };
  return [end(there, back), end(back, there)];
}

/** Everything a stream yields. */
export async function collect(stream: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** The same bytes, each piece `ms` milliseconds late; destroying these destroys those. */
export function slowed(bytes: NarBytes, ms: number): NarBytes {
  return {
    async *[Symbol.asyncIterator]() {
      for await (const piece of bytes) {
        await sleep(ms);
        yield piece;
      }
    },
    destroy: (error) => bytes.destroy(error),
  };
}
