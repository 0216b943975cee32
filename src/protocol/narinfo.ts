// The text of a `.narinfo`: what a binary cache says of one store path (Nix's src/libstore/nar-info.cc).

import { compressions, fileOf, type OfferedPath } from "./offered-path.js";
import { nix32FromHex } from "./nix32.js";
import { baseNameOf, isStorePath } from "./store-path.js";

const sha256Hex = /^[0-9a-f]{64}$/;
/** A signature or content address: one line, no blanks at its ends, nothing that could begin another field. */
const plainLine = /^[\x21-\x7e]{1,1024}$/;

/** Why `info` cannot be told as a narinfo, or null. Guards against lines smuggled in by the far side. */
export function narinfoProblem(info: OfferedPath): string | null {
  if (!isStorePath(info.path)) return "its store path is malformed";
  if (!sha256Hex.test(info.narHash)) return "its NAR hash is not a SHA-256 in hexadecimal";
  if (!Number.isSafeInteger(info.narSize) || info.narSize <= 0)
    return "its NAR size is not a positive number";
  if (!info.references.every(isStorePath)) return "a reference is malformed";
  if (info.deriver !== null && !isStorePath(info.deriver)) return "its deriver is malformed";
  if (!info.signatures.every((signature) => plainLine.test(signature))) return "a signature is malformed";
  if (info.ca !== null && !plainLine.test(info.ca)) return "its content address is malformed";
  return fileProblem(info);
}

function fileProblem(info: OfferedPath): string | null {
  const { compression, hash, size } = fileOf(info);
  if (!compressions.includes(compression)) return "its compression is none that Nix knows";
  if (hash !== null && !sha256Hex.test(hash)) return "its file's hash is not a SHA-256 in hexadecimal";
  if (!Number.isSafeInteger(size) || size <= 0) return "its file's size is not a positive number";
  return null;
}

/**
 * The narinfo of `info`, for a NAR that is served at `url` (relative to the cache's own URL).
 * `info` must have passed `narinfoProblem`. `Compression` is told because Nix takes its absence for bzip2,
 * FileHash and FileSize because they make Nix's download forecast right.
 */
export function formatNarinfo(info: OfferedPath, url: string): string {
  const file = fileOf(info);
  const lines = [
    `StorePath: ${info.path}`,
    `URL: ${url}`,
    `Compression: ${file.compression}`,
    ...(file.hash === null ? [] : [`FileHash: ${hashText(file.hash)}`]),
    `FileSize: ${file.size}`,
    `NarHash: ${hashText(info.narHash)}`,
    `NarSize: ${info.narSize}`,
    // Nix reads the value from two characters behind the colon, so the blank stays even before nothing.
    `References: ${info.references.map(baseNameOf).join(" ")}`,
  ];
  if (info.deriver !== null) lines.push(`Deriver: ${baseNameOf(info.deriver)}`);
  for (const signature of info.signatures) lines.push(`Sig: ${signature}`);
  if (info.ca !== null) lines.push(`CA: ${info.ca}`);
  return `${lines.join("\n")}\n`;
}

function hashText(hex: string): string {
  return `sha256:${nix32FromHex(hex)}`;
}
