// Nix's signatures of store paths: Ed25519 over a line that says what the path is (`ValidPathInfo::fingerprint` in Nix's
// src/libstore/path-info.cc).

import { createPublicKey, verify } from "node:crypto";
import { nix32FromHex } from "./nix32.js";
import type { PathInfo } from "./path-info.js";

/** What is signed. */
export function signedText({ path, narHash, narSize, references }: PathInfo): string {
  const hash = `sha256:${nix32FromHex(narHash)}`;
  return ["1", path, hash, narSize, references.toSorted().join(",")].join(";");
}

/**
 * The names of those of `publicKeys` (`name:base64`, as in `trusted-public-keys`) that the path is really signed by.
 * Malformed keys and signatures count for nothing.
 */
export function signers(info: PathInfo, publicKeys: readonly string[]): string[] {
  const text = Buffer.from(signedText(info));
  return publicKeys.flatMap((publicKey) => {
    const [name, key] = split(publicKey);
    const raw = Buffer.from(key, "base64");
    if (raw.length !== 32) return [];
    const jwk = { kty: "OKP", crv: "Ed25519", x: raw.toString("base64url") };
    const object = createPublicKey({ key: jwk, format: "jwk" });
    const signed = info.signatures
      .map(split)
      .some(([by, signature]) => by === name && verify(null, text, object, Buffer.from(signature, "base64")));
    return signed ? [name] : [];
  });
}

/** The part before the first colon, and what follows it. */
function split(word: string): [string, string] {
  const at = word.indexOf(":");
  return at < 0 ? [word, ""] : [word.slice(0, at), word.slice(at + 1)];
}
