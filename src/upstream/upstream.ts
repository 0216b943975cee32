// What the gateway asks of a cache, whatever speaks behind it.

import type { OfferedPath } from "../protocol/offered-path.js";

/** The slowest disk that is waited for where bytes of a NAR are skipped on the machine itself: 10 MB/s. */
export const seekBytesPerMs = 10_000;

/** Bytes that come piece by piece as their reader asks for them. A `Readable` is such a stream too. */
export interface NarBytes extends AsyncIterable<Buffer> {
  /** Lets go of them, and of the connection behind them if there is more to come: reading on fails then. Idempotent. */
  destroy(error?: Error): unknown;
}

/** The end of a NAR's file, or more than that. */
export interface NarTail {
  readonly stream: NarBytes;
  /** Where in the file the stream begins: at `from`, or earlier. */
  readonly begins: number;
}

/** A cache that is online. Every call rejects when the link is lost or its deadline passes. */
export interface Upstream {
  /** The path whose base name begins with these 32 characters, or null when the store has none. */
  queryByHashPart(hashPart: string, signal: AbortSignal): Promise<OfferedPath | null>;
  /** Whether it is certain, without a question, that the store has no such path; false says nothing. */
  isAbsent?(hashPart: string): boolean;
  /**
   * The file of `info`'s NAR: exactly as many bytes as it is long, or an error on the stream. Where that is the NAR as
   * it is, its framing was checked; an error that a daemon reports inside the NAR is never passed on as content. Rejects
   * with code `not-valid` before the first byte when the store no longer has the path. The reader sets the pace;
   * destroying the stream frees the connection behind it.
   */
  openNar(info: OfferedPath, signal: AbortSignal): Promise<NarBytes>;
  /**
   * The same file from byte `from` on, for one that was cut there; that it is still the same the caller has made sure of.
   * A machine that cannot begin in the middle sends it from its start, which counts as arriving bytes; one that can
   * may be silent for as long as it takes to read what lies before `from` (see `seekBytesPerMs`).
   */
  openNarFrom(info: OfferedPath, from: number, signal: AbortSignal): Promise<NarTail>;
  /**
   * Some of those of `hashParts` whose paths the store has; empty when it has none of them. For thousands: answered by
   * few round trips, beside the lookups and not among them.
   */
  findPresent(hashParts: readonly string[], signal: AbortSignal): Promise<string[]>;
  /** When bytes last came that answer no question, on `performance.now()`'s clock: the link is busy then, not dead. */
  readonly lastByteAt?: number;
  /** Closes every connection of this upstream. Idempotent. */
  close(): void;
}
