import { generateKeyPairSync, sign } from "node:crypto";
import { expect, test } from "vitest";
import type { PathInfo } from "../../src/protocol/path-info.js";
import { signedText, signers } from "../../src/protocol/signature.js";

const store = "/nix/store";
const info: PathInfo = {
  path: `${store}/syd87l2rxw8cbsxmxl853h0r6pdwhwjr-curl-7.82.0-bin`,
  narHash: "0".repeat(64),
  narSize: 196040,
  references: [`${store}/b-2`, `${store}/a-1`],
  deriver: null,
  signatures: [],
  ca: null,
};

function makeKey(name: string): { publicKey: string; signature: (text: string) => string } {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const raw = Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url");
  return {
    publicKey: `${name}:${raw.toString("base64")}`,
    signature: (text) => `${name}:${sign(null, Buffer.from(text), privateKey).toString("base64")}`,
  };
}

test("what is signed names the path, its hash and size, and what it refers to, sorted", () => {
  expect(signedText(info)).toBe(`1;${info.path};sha256:${"0".repeat(52)};196040;${store}/a-1,${store}/b-2`);
});

test("only a signature that fits counts, under the name of its key", () => {
  const pi = makeKey("pi-1");
  const impostor = makeKey("pi-1");
  const other = makeKey("nas-1");
  const signatures = [pi.signature(signedText(info)), other.signature("something else"), "nas-1:AAAA", "odd"];
  const keys = [pi.publicKey, other.publicKey, impostor.publicKey, "odd", "pi-1:short"];
  expect(signers({ ...info, signatures }, keys)).toEqual(["pi-1"]);
  expect(signers({ ...info, signatures }, [impostor.publicKey])).toEqual([]);
  expect(signers({ ...info, signatures, narSize: 1 }, keys)).toEqual([]);
});
