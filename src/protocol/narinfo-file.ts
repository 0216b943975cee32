// Reads the text of a `.narinfo` as any binary cache may hold it (Nix's src/libstore/nar-info.cc), and believes little.

import { ProtocolError } from "./errors.js";
import { narinfoProblem } from "./narinfo.js";
import { hexFromNix32 } from "./nix32.js";
import type { PathInfo } from "./path-info.js";
import { storeDir } from "./store-path.js";

/** What a binary cache says of one store path, and of the file that holds its NAR. */
export interface Narinfo {
  readonly info: PathInfo;
  /** Of the file, relative to the cache's own URL or folder as a rule; not checked. */
  readonly url: string;
  /** `none`, `xz`, `zstd`, …; what Nix takes for it where none is told is `bzip2`. */
  readonly compression: string;
  /** SHA-256 of the file, as 64 lower-case hexadecimal digits; null where it is not told. */
  readonly fileHash: string | null;
  /** Bytes of the file; null where it is not told. */
  readonly fileSize: number | null;
}

/** Far above any real one; a system's profile with thousands of references has some hundred KiB. */
export const maxNarinfoBytes = 4 * 1024 * 1024;

const fieldLine = /^([A-Za-z]+):(?: (.*))?$/;
const urlShape = /^[\x21-\x7e]{1,2048}$/;
const compressionShape = /^[a-z0-9]{1,16}$/;
const sizeShape = /^\d{1,16}$/;

/** Told once at most; what else stands there Nix passes over. */
const single = new Set([
  "StorePath",
  "URL",
  "Compression",
  "FileHash",
  "FileSize",
  "NarHash",
  "NarSize",
  "References",
  "Deriver",
  "CA",
]);

/** @throws ProtocolError `bad-value`, with what is wrong. */
export function parseNarinfo(text: string): Narinfo {
  if (text.length > maxNarinfoBytes) throw bad("it is far too long");
  const fields = new Map<string, string>();
  const signatures: string[] = [];
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const [, name, value = ""] = fieldLine.exec(line) ?? [];
    if (name === undefined) throw bad("a line of it is no field");
    if (name === "Sig") signatures.push(value);
    if (!single.has(name)) continue;
    if (fields.has(name)) throw bad(`it tells its ${name} twice`);
    fields.set(name, value);
  }
  const need = (name: string): string => {
    const value = fields.get(name);
    if (value === undefined || value === "") throw bad(`it tells no ${name}`);
    return value;
  };
  const info: PathInfo = {
    path: need("StorePath"),
    narHash: sha256Of("NarHash", need("NarHash")),
    narSize: sizeOf("NarSize", need("NarSize")),
    references: (fields.get("References") ?? "")
      .split(" ")
      .filter((name) => name !== "")
      .map(inStore),
    deriver: deriverOf(fields.get("Deriver")),
    signatures,
    ca: fields.get("CA") || null,
  };
  const problem = narinfoProblem(info);
  if (problem !== null) throw bad(problem);
  const url = need("URL");
  if (!urlShape.test(url)) throw bad("its URL is malformed");
  const compression = fields.get("Compression") || "bzip2";
  if (!compressionShape.test(compression)) throw bad("its compression is malformed");
  const fileHash = fields.get("FileHash");
  const fileSize = fields.get("FileSize");
  return {
    info,
    url,
    compression,
    fileHash: fileHash ? sha256Of("FileHash", fileHash) : null,
    fileSize: fileSize ? sizeOf("FileSize", fileSize) : null,
  };
}

function bad(why: string): ProtocolError {
  return new ProtocolError("bad-value", `the narinfo can not be used: ${why}`);
}

function inStore(name: string): string {
  return `${storeDir}/${name}`;
}

/** Old caches say that they do not know it. */
function deriverOf(name: string | undefined): string | null {
  return name === undefined || name === "" || name === "unknown-deriver" ? null : inStore(name);
}

function sizeOf(field: string, text: string): number {
  const size = sizeShape.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(size)) throw bad(`its ${field} is no size`);
  return size;
}

/** In base 16, in Nix's base 32 or, behind a "-", in base 64: what Nix takes. */
function sha256Of(field: string, text: string): string {
  const hex =
    hexOf(/^sha256:([0-9a-f]{64})$/, text, (digits) => digits) ??
    hexOf(/^sha256:([0-9abcdfghijklmnpqrsvwxyz]{52})$/, text, hexFromNix32) ??
    hexOf(/^sha256[-:]([A-Za-z0-9+/]{43}=)$/, text, (digits) =>
      Buffer.from(digits, "base64").toString("hex"),
    );
  if (hex === null) throw bad(`its ${field} is no SHA-256`);
  return hex;
}

function hexOf(shape: RegExp, text: string, decode: (digits: string) => string | null): string | null {
  const [, digits] = shape.exec(text) ?? [];
  return digits === undefined ? null : decode(digits);
}
