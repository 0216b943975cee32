// Paths with hashes of our own invention, in the format that `nix-store --import` reads: no derivation, no builder.

import { createHash } from "node:crypto";
import { encodeNix32 } from "../../src/protocol/nix32.js";
import { encodeString, encodeStringList, encodeU64 } from "../../src/protocol/writer.js";

const exportMagic = 0x4558494e;

export interface ExportedPath {
  readonly path: string;
  readonly nar: Buffer;
  readonly references: readonly string[];
  readonly deriver: string | null;
}

/** One path as `nix-store --export` writes it, without the word that ends them all. */
export function encodeExported({ path, nar, references, deriver }: ExportedPath): Buffer {
  return Buffer.concat([
    encodeU64(1),
    nar,
    encodeU64(exportMagic),
    encodeString(path),
    encodeStringList(references),
    encodeString(deriver ?? ""),
    encodeU64(0),
  ]);
}

/** Ends what `encodeExported` gave. */
export const exportEnd = encodeU64(0);

/** A store path of that name; its hash depends on the name and the seed. */
export function inventPath(name: string, seed: string | Buffer): string {
  const digest = createHash("sha256").update(name).update(seed).digest();
  return `/nix/store/${encodeNix32(digest.subarray(0, 20))}-${name}`;
}
