import { expect, test } from "vitest";

import { formatNarinfo } from "../../src/protocol/narinfo.js";
import { maxNarinfoBytes, parseNarinfo } from "../../src/protocol/narinfo-file.js";

const hash = "0123456789abcdfghijklmnpqrsvwxyz";
const sha256 = "1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s";
const hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
// As `nix copy --to file://…` writes it.
const text = `StorePath: /nix/store/${hash}-hello-2.12
URL: nar/${sha256}.nar.xz
Compression: xz
FileHash: sha256:${sha256}
FileSize: 50192
NarHash: sha256:${sha256}
NarSize: 226504
References: ${hash}-hello-2.12 ${"g".repeat(32)}-glibc
Deriver: ${"d".repeat(32)}-hello-2.12.drv
Sig: pi-1:AAAA+/8=
Sig: other-1:BBBB
`;

test("every field of a narinfo", () => {
  expect(parseNarinfo(text)).toEqual({
    info: {
      path: `/nix/store/${hash}-hello-2.12`,
      narHash: hex,
      narSize: 226_504,
      references: [`/nix/store/${hash}-hello-2.12`, `/nix/store/${"g".repeat(32)}-glibc`],
      deriver: `/nix/store/${"d".repeat(32)}-hello-2.12.drv`,
      signatures: ["pi-1:AAAA+/8=", "other-1:BBBB"],
      ca: null,
    },
    url: `nar/${sha256}.nar.xz`,
    compression: "xz",
    fileHash: hex,
    fileSize: 50_192,
  });
});

test("what the gateway tells is read again", () => {
  const { info } = parseNarinfo(text);
  expect(parseNarinfo(formatNarinfo(info, "nar/x.nar")).info).toEqual(info);
});

test("what may be missing", () => {
  const short = parseNarinfo(
    `StorePath: /nix/store/${hash}-x\nURL: nar/x.nar.bz2\nNarHash: sha256:${hex}\nNarSize: 1\nReferences: \nDeriver: unknown-deriver\nOther: is passed over\n`,
  );
  expect(short).toMatchObject({ compression: "bzip2", fileHash: null, fileSize: null });
  expect(short.info).toMatchObject({ narHash: hex, references: [], deriver: null, signatures: [], ca: null });
});

test.each([
  ["one without end", `${text}${"\n".repeat(maxNarinfoBytes)}`, /far too long/],
  ["no field at all", "<html>", /no field/],
  ["no URL", text.replace(/URL.*\n/, ""), /no URL/],
  ["a URL with a blank", text.replace("URL: nar", "URL: n ar"), /URL is malformed/],
  ["two store paths", `${text}StorePath: /nix/store/${hash}-y\n`, /StorePath twice/],
  ["another store", text.replace("/nix/store", "/gnu/store"), /store path is malformed/],
  ["a hash that is none", text.replace(/NarHash: .*/, "NarHash: sha256:abc"), /NarHash is no SHA-256/],
  ["MD5", text.replace(/FileHash: .*/, "FileHash: md5:abc"), /FileHash is no SHA-256/],
  ["a size below zero", text.replace(/NarSize: .*/, "NarSize: -1"), /NarSize is no size/],
  ["a reference with a folder", text.replace("References: ", "References: ../x "), /reference is malformed/],
  [
    "a compression with a blank",
    text.replace("Compression: xz", "Compression: x z"),
    /compression is malformed/,
  ],
])("%s is refused", (_what, wrong, why) => {
  expect(() => parseNarinfo(wrong)).toThrow(why);
});
