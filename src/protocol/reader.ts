// Reads the worker protocol's values from a stream as they arrive. Every value has a bound, so a hostile or
// broken peer can neither make it allocate without limit nor run ahead of the reader.

import type { Readable } from "node:stream";
import { messageOf } from "../util/errors.js";
import { ProtocolError } from "./errors.js";

/** The stream is paused while this many bytes wait to be read; enough to keep a fast link busy. */
const pauseAt = 256 * 1024;

const none: Buffer = Buffer.alloc(0);

/** How long a list may be, and each of its strings (in bytes). */
export interface ListBounds {
  readonly count: number;
  readonly length: number;
}

interface Waiter {
  readonly need: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * Owns the reading side of `stream` from its construction on, error listener included. One read at a time.
 * After any error but the daemon's own the position in the stream is undefined: throw the stream away.
 */
export class WireReader {
  readonly #stream: Readable;
  #chunks: Buffer[] = [];
  #length = 0;
  #failure: Error | null = null;
  #waiter: Waiter | null = null;

  constructor(stream: Readable) {
    this.#stream = stream;
    stream.on("error", (error) => this.fail(new ProtocolError("closed", messageOf(error), { cause: error })));
    stream.on("end", () => this.fail(new ProtocolError("closed", "the peer closed the connection")));
    stream.on("close", () => this.fail(new ProtocolError("closed", "the connection is closed")));
    if (stream.destroyed || stream.readableEnded) {
      this.#failure = new ProtocolError("closed", "the connection is closed");
      return;
    }
    stream.on("data", this.#onData);
  }

  /** Bytes that have arrived and were not read yet. */
  get buffered(): number {
    return this.#length;
  }

  /** Why no more bytes will come, or null. What is `buffered` can still be read. */
  get failure(): Error | null {
    return this.#failure;
  }

  /** Makes every read that lacks bytes fail with `error`. The first failure stays. */
  fail(error: Error): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    this.#stream.off("data", this.#onData);
    const waiter = this.#waiter;
    this.#waiter = null;
    waiter?.reject(this.#shortage(error));
  }

  /** An unsigned 64-bit integer, little endian; `oversize` beyond what a number holds exactly. */
  async u64(): Promise<number> {
    if (this.#length < 8) await this.#until(8);
    const bytes = this.#take(8);
    const high = bytes.readUInt32LE(4);
    if (high > 0x1fffff) throw new ProtocolError("oversize", "an integer is larger than 2^53");
    return high * 0x1_0000_0000 + bytes.readUInt32LE(0);
  }

  /** Exactly `length` raw bytes. The caller bounds `length`. */
  async bytes(length: number): Promise<Buffer> {
    if (this.#length < length) await this.#until(length);
    return this.#take(length);
  }

  /** A string of at most `max` bytes, UTF-8. */
  async string(max: number): Promise<string> {
    return (await this.stringBytes(max)).toString("utf8");
  }

  /** The bytes of a string of at most `max` bytes, with its zero padding checked; not copied where they arrived in one piece. */
  async stringBytes(max: number): Promise<Buffer> {
    const length = await this.u64();
    if (length > max)
      throw new ProtocolError("oversize", `a string of ${length} bytes, where ${max} are allowed`);
    if (length === 0) return none;
    const padded = await this.bytes(length + (-length & 7));
    for (let i = length; i < padded.length; i += 1) {
      if (padded[i] !== 0) throw new ProtocolError("padding", "a string is not padded with zeros");
    }
    return padded.subarray(0, length);
  }

  /** A counted list of strings. Grows with what arrives, not with what is announced. */
  async stringList(bounds: ListBounds): Promise<string[]> {
    const count = await this.u64();
    if (count > bounds.count) {
      throw new ProtocolError("oversize", `a list of ${count} strings, where ${bounds.count} are allowed`);
    }
    const list: string[] = [];
    for (let i = 0; i < count; i += 1) list.push(await this.string(bounds.length));
    return list;
  }

  /** Whatever has arrived, as it arrived (at least one byte); not copied. */
  async chunk(): Promise<Buffer> {
    if (this.#length === 0) await this.#until(1);
    const chunk = this.#chunks.shift() ?? none;
    this.#length -= chunk.length;
    this.#flow();
    return chunk;
  }

  /** Puts bytes back in front of what is still to be read. */
  unshift(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#chunks.unshift(bytes);
    this.#length += bytes.length;
  }

  readonly #onData = (chunk: Buffer): void => {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    const waiter = this.#waiter;
    if (waiter !== null && this.#length >= waiter.need) {
      this.#waiter = null;
      waiter.resolve();
    }
    if (this.#waiter === null && this.#length >= pauseAt) this.#stream.pause();
  };

  #until(need: number): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#shortage(this.#failure));
    if (this.#waiter !== null) throw new Error("two reads at once");
    return new Promise((resolve, reject) => {
      this.#waiter = { need, resolve, reject };
      this.#stream.resume();
    });
  }

  #shortage(failure: Error): Error {
    const cutShort = this.#length > 0 && failure instanceof ProtocolError && failure.code === "closed";
    return cutShort
      ? new ProtocolError("truncated", `${failure.message}, in the middle of a value`, { cause: failure })
      : failure;
  }

  #flow(): void {
    if (this.#length < pauseAt && this.#failure === null && this.#stream.isPaused()) this.#stream.resume();
  }

  #take(length: number): Buffer {
    const first = this.#chunks[0] ?? none;
    this.#length -= length;
    let taken: Buffer;
    if (first.length > length) {
      taken = first.subarray(0, length);
      this.#chunks[0] = first.subarray(length);
    } else if (first.length === length) {
      taken = first;
      this.#chunks.shift();
    } else {
      taken = this.#gather(length);
    }
    this.#flow();
    return taken;
  }

  #gather(length: number): Buffer {
    const taken = Buffer.allocUnsafe(length);
    let at = 0;
    while (at < length) {
      const chunk = this.#chunks[0] ?? none;
      const part = chunk.subarray(0, length - at);
      part.copy(taken, at);
      at += part.length;
      if (part.length === chunk.length) this.#chunks.shift();
      else this.#chunks[0] = chunk.subarray(part.length);
    }
    return taken;
  }
}
