// Nix's signatures of store paths: `name:base64` of an ed25519 signature over the path's fingerprint.

import { createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from "node:crypto";
import { nix32FromHex } from "../protocol/nix32.js";
import type { PathInfo } from "../protocol/path-info.js";

/** What a signature covers; changing any of it makes the signature wrong. */
export type Signed = Pick<PathInfo, "path" | "narHash" | "narSize" | "references">;

/** A fresh key: `publicKey` as Nix's `trusted-public-keys` wants it, and the function that signs with it. */
export function newSigningKey(name: string): {
  readonly publicKey: string;
  readonly sign: (info: Signed) => string;
} {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  return {
    publicKey: `${name}:${rawPublicKey(publicKey).toString("base64")}`,
    sign: (info) => `${name}:${sign(null, fingerprint(info), privateKey).toString("base64")}`,
  };
}

/** Whether `signature` is by the holder of `publicKey` and covers `info`. */
export function isSignedBy(publicKey: string, signature: string, info: Signed): boolean {
  const [keyName, key] = split(publicKey);
  const [name, bytes] = split(signature);
  if (name !== keyName) return false;
  const jwk = { kty: "OKP", crv: "Ed25519", x: key.toString("base64url") };
  return verify(null, fingerprint(info), createPublicKey({ key: jwk, format: "jwk" }), bytes);
}

function fingerprint(info: Signed): Buffer {
  const references = info.references.join(",");
  return Buffer.from(`1;${info.path};sha256:${nix32FromHex(info.narHash)};${info.narSize};${references}`);
}

function rawPublicKey(key: KeyObject): Buffer {
  return Buffer.from(key.export({ format: "jwk" }).x ?? "", "base64url");
}

function split(text: string): [string, Buffer] {
  const colon = text.indexOf(":");
  return [text.slice(0, colon), Buffer.from(text.slice(colon + 1), "base64")];
}
