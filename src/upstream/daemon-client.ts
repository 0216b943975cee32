// One connection to a nix-daemon: a handshake, then requests that are all written at once and answered in order.

import type { Duplex } from "node:stream";
import type { DaemonInfo } from "../link/link.js";
import { DaemonError, ProtocolError } from "../protocol/errors.js";
import { clientHandshake } from "../protocol/handshake.js";
import { encodeNarFromPath, type Operation } from "../protocol/operations.js";
import type { PathInfo } from "../protocol/path-info.js";
import { WireReader } from "../protocol/reader.js";
import { readUntilLast } from "../protocol/stderr.js";
import { TetherError } from "../util/errors.js";
import { notValid, receiveNar, type NarWatch } from "./nar-stream.js";
import type { NarBytes } from "./upstream.js";

/** More requests than this without an answer is no pipelining but a flood. */
const maxPending = 20_000;

interface Pending {
  /** Reads the answer; throws only what makes the connection unusable. */
  answer(): Promise<void>;
  reject(error: Error): void;
}

/**
 * Any fault but an error that the daemon reports in an orderly way ends the connection, and with it every request
 * that is under way.
 */
export class DaemonClient {
  readonly info: DaemonInfo;
  /** Settles once, with the reason, when the connection has ended. Never rejects. */
  readonly closed: Promise<Error>;
  readonly #stream: Duplex;
  readonly #reader: WireReader;
  #settleClosed: (reason: Error) => void = () => undefined;
  #queue: Pending[] = [];
  #answered = 0;
  #running = false;
  #outgoing: Buffer[] = [];
  #failure: Error | null = null;

  /**
   * Shakes hands within `ms` milliseconds. Rejects with code `timeout`, the signal's reason, or an error of the
   * protocol; the stream is destroyed then.
   */
  static async connect(stream: Duplex, options: { ms: number; signal?: AbortSignal }): Promise<DaemonClient> {
    const { ms, signal } = options;
    const reader = new WireReader(stream);
    const late = new TetherError("timeout", `the nix-daemon did not answer within ${ms} ms`);
    const timer = setTimeout(() => reader.fail(late), ms);
    const onAbort = (): void => reader.fail(signal?.reason as Error);
    signal?.addEventListener("abort", onAbort, { once: true });
    if (signal?.aborted === true) onAbort();
    try {
      const info = await clientHandshake(reader, (bytes) => stream.write(bytes));
      if (reader.failure !== null) throw reader.failure;
      return new DaemonClient(stream, reader, info);
    } catch (error) {
      stream.destroy();
      throw error;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    }
  }

  private constructor(stream: Duplex, reader: WireReader, info: DaemonInfo) {
    this.#stream = stream;
    this.#reader = reader;
    this.info = { protocol: info.protocol, nixVersion: info.nixVersion, trusted: info.trusted };
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
    // While answers are read the reader finds out by itself, after what had arrived before.
    const onLost = (): void => void (this.#running || this.#lost());
    stream.on("error", onLost);
    stream.on("end", onLost);
    stream.on("close", onLost);
  }

  /** Why the connection cannot be used any more, or null. */
  get failure(): Error | null {
    return this.#failure;
  }

  /** Requests that were not answered yet. */
  get pending(): number {
    return this.#queue.length;
  }

  /** How many requests were answered: tells a slow daemon from a stuck one. */
  get answered(): number {
    return this.#answered;
  }

  /** Asks one question. Rejects with DaemonError or code `bad-value` alone, or together with the connection. */
  ask<T>(operation: Operation<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const answer = async (): Promise<void> => {
        try {
          await readUntilLast(this.#reader, this.info.protocol);
          resolve(await operation.readReply(this.#reader, this.info.protocol));
        } catch (error) {
          if (!isOrderly(error)) throw error;
          reject(error);
        }
      };
      this.#submit(operation.request(this.info.protocol), { answer, reject });
    });
  }

  /**
   * The NAR of `info.path`, which occupies the connection until its end. Rejects with code `not-valid` when the
   * daemon cannot give it; bytes that were given end with an error of code `stalled` or `nar-damaged`, or the
   * connection's own. `onEnd` is told once when the connection is free again, or gone (see `failure`).
   */
  narFromPath(info: PathInfo, watch: NarWatch, onEnd: () => void): Promise<NarBytes> {
    return new Promise((resolve, reject) => {
      let bytes: NarBytes | null = null;
      let ended = false;
      const end = (): void => {
        if (!ended) onEnd();
        ended = true;
      };
      const given = (arriving: NarBytes): void => {
        bytes = arriving;
        resolve(arriving);
      };
      const answer = async (): Promise<void> => {
        try {
          await readUntilLast(this.#reader, this.info.protocol);
        } catch (error) {
          if (!isOrderly(error)) throw error;
          reject(notValid(info, error));
          end();
          return;
        }
        await receiveNar({
          reader: this.#reader,
          protocol: this.info.protocol,
          info,
          watch,
          given,
          onDestroy: (error) => this.destroy(error),
        });
        end();
      };
      const fail = (error: Error): void => {
        reject(error);
        bytes?.destroy(error);
        end();
      };
      this.#submit(encodeNarFromPath(info.path), { answer, reject: fail });
    });
  }

  /** Ends the connection at once; what is under way rejects with `reason`. Idempotent. */
  destroy(reason: Error = new TetherError("closed", "the connection was closed here")): void {
    if (this.#failure !== null) return;
    this.#failure = reason;
    this.#reader.fail(reason);
    this.#stream.destroy();
    const queue = this.#queue;
    this.#queue = [];
    this.#outgoing = [];
    for (const request of queue) request.reject(reason);
    this.#settleClosed(reason);
  }

  #submit(request: Buffer, pending: Pending): void {
    if (this.#failure !== null) return pending.reject(this.#failure);
    if (this.#queue.length >= maxPending) {
      return pending.reject(new TetherError("busy", `${maxPending} requests wait for the nix-daemon`));
    }
    this.#queue.push(pending);
    this.#outgoing.push(request);
    // What is asked in one turn leaves in one piece: over SSH each write is a packet of its own.
    if (this.#outgoing.length === 1) setImmediate(() => this.#flush());
    if (!this.#running) void this.#run();
  }

  #flush(): void {
    if (this.#outgoing.length > 0) this.#stream.write(Buffer.concat(this.#outgoing));
    this.#outgoing = [];
  }

  async #run(): Promise<void> {
    this.#running = true;
    try {
      for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
        await next.answer();
        this.#queue.shift();
        this.#answered += 1;
      }
    } catch (error) {
      this.destroy(error as Error);
    }
    this.#running = false;
    this.#lost();
  }

  #lost(): void {
    if (this.#reader.failure !== null) this.destroy(this.#reader.failure);
  }
}

/** Whether the answer was read to its end, so that the next one can follow. */
export function isOrderly(error: unknown): error is Error {
  return error instanceof DaemonError || (error instanceof ProtocolError && error.code === "bad-value");
}
