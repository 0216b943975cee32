// What the gateway asks of a cache, whatever speaks behind it.

import type { Readable } from "node:stream";
import type { PathInfo } from "../protocol/path-info.js";

export type { PathInfo } from "../protocol/path-info.js";

/** A cache that is online. Every call rejects when the link is lost or its deadline passes. */
export interface Upstream {
  /** The path whose base name begins with these 32 characters, or null when the store has none. */
  queryByHashPart(hashPart: string, signal: AbortSignal): Promise<PathInfo | null>;
  /**
   * The NAR of `info.path`: exactly `info.narSize` bytes whose framing was checked, or an error on the
   * stream; an error that the daemon reports inside the NAR is never passed on as content. Rejects with
   * code `not-valid` before the first byte when the store no longer has the path. The reader sets the pace;
   * destroying the stream frees the connection behind it.
   */
  openNar(info: PathInfo, signal: AbortSignal): Promise<Readable>;
  /**
   * Some of those of `hashParts` whose paths the store has; empty when it has none of them. For thousands: answered by
   * few round trips, beside the lookups and not among them.
   */
  findPresent(hashParts: readonly string[], signal: AbortSignal): Promise<string[]>;
  /** Closes every connection of this upstream. Idempotent. */
  close(): void;
}
