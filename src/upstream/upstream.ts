// What the gateway asks of a cache, whatever speaks behind it.

import type { Readable } from "node:stream";

/** What a store knows of one of its paths (worker protocol's ValidPathInfo). */
export interface PathInfo {
  /** Full path, `/nix/store/<hash>-<name>`. */
  readonly path: string;
  /** SHA-256 of the NAR, as 64 lower-case hexadecimal digits, without a prefix. */
  readonly narHash: string;
  /** Length of the NAR in bytes. */
  readonly narSize: number;
  /** Full store paths, in the order given. */
  readonly references: readonly string[];
  /** Full store path of the derivation, or null. */
  readonly deriver: string | null;
  /** `name:base64` each. */
  readonly signatures: readonly string[];
  /** Content address, e.g. `fixed:r:sha256:…`, or null. */
  readonly ca: string | null;
}

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
  /** Closes every connection of this upstream. Idempotent. */
  close(): void;
}
