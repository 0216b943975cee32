import { expect, test } from "vitest";

import { formatNarinfo, narinfoProblem } from "../../src/protocol/narinfo.js";
import type { PathInfo } from "../../src/protocol/path-info.js";

const hash = "0123456789abcdfghijklmnpqrsvwxyz";
const info: PathInfo = {
  path: `/nix/store/${hash}-hello-2.12`,
  narHash: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  narSize: 226_504,
  references: [`/nix/store/${"g".repeat(32)}-glibc`, `/nix/store/${hash}-hello-2.12`],
  deriver: `/nix/store/${"d".repeat(32)}-hello-2.12.drv`,
  signatures: ["pi-1:AAAA+/8=", "other-1:BBBB"],
  ca: "fixed:r:sha256:1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s",
};

test("every field, in Nix's order, names without the store's folder", () => {
  expect(formatNarinfo(info, "nar/x.nar")).toBe(
    `StorePath: /nix/store/${hash}-hello-2.12
URL: nar/x.nar
Compression: none
FileHash: sha256:1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s
FileSize: 226504
NarHash: sha256:1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s
NarSize: 226504
References: ${"g".repeat(32)}-glibc ${hash}-hello-2.12
Deriver: ${"d".repeat(32)}-hello-2.12.drv
Sig: pi-1:AAAA+/8=
Sig: other-1:BBBB
CA: fixed:r:sha256:1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s
`,
  );
});

test("without references the blank stays; without the rest there is no line", () => {
  const text = formatNarinfo(
    { ...info, references: [], deriver: null, signatures: [], ca: null },
    "nar/x.nar",
  );
  expect(text).toContain("\nReferences: \n");
  expect(text).not.toMatch(/Deriver|Sig|CA/);
});

test("a file of another cache is told with its own hash and size, and nothing is made up", () => {
  const file = { compression: "xz", hash: "0".repeat(64), size: 4_242, location: "nar/x.nar.xz" };
  const text = formatNarinfo({ ...info, file }, "nar/x.nar.xz");
  expect(text).toContain(
    `Compression: xz\nFileHash: sha256:${"0".repeat(52)}\nFileSize: 4242\nNarHash: sha256:1b8m`,
  );
  expect(text).toContain("NarSize: 226504\n");
  expect(formatNarinfo({ ...info, file: { ...file, hash: null } }, "x")).not.toContain("FileHash");
});

test.each([
  ["compression", { compression: "none\nSig: x" }],
  ["file's hash", { hash: "abc" }],
  ["file's size", { size: 0 }],
])("a malformed %s is told", (_what, change) => {
  const file = { compression: "zstd", hash: null, size: 1, location: "" };
  expect(narinfoProblem({ ...info, file })).toBeNull();
  expect(narinfoProblem({ ...info, file: { ...file, ...change } })).not.toBeNull();
});

test("a sound path has no problem", () => {
  expect(narinfoProblem(info)).toBeNull();
  expect(narinfoProblem({ ...info, references: [], deriver: null, signatures: [], ca: null })).toBeNull();
});

test.each<[string, Partial<PathInfo>]>([
  ["path", { path: "/nix/store/short-name" }],
  ["path with a line break", { path: `${info.path}\nSig: x:y` }],
  ["NAR hash", { narHash: "sha256:abc" }],
  ["NAR size", { narSize: 0 }],
  ["NAR size not whole", { narSize: 1.5 }],
  ["reference", { references: ["/etc/passwd"] }],
  ["deriver", { deriver: "unknown-deriver" }],
  ["signature with a line break", { signatures: ["pi-1:AAAA\nCA: text"] }],
  ["content address with a blank", { ca: "fixed:r sha256" }],
])("a malformed %s is told", (_what, change) => {
  expect(narinfoProblem({ ...info, ...change })).not.toBeNull();
});
