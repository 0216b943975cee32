// A path as a cache gives it: what its store knows of it, and the file that its NAR comes in.

import type { PathInfo } from "./path-info.js";

/** The file in which a cache has a NAR. */
export interface NarFile {
  /** As a narinfo names it: `none`, `xz`, `zstd` and so on. */
  readonly compression: string;
  /** SHA-256 of the file, as 64 lower-case hexadecimal digits; null where the cache does not tell it. */
  readonly hash: string | null;
  /** Length of the file in bytes. */
  readonly size: number;
  /** Where the cache has it, in words that only upstreams of this cache understand, on whatever way. */
  readonly location: string;
}

/** A path that a cache has. Without `file` its NAR comes as it is. */
export interface OfferedPath extends PathInfo {
  readonly file?: NarFile;
}

/** The file that a path's NAR comes in. */
export function fileOf(info: OfferedPath): NarFile {
  return info.file ?? { compression: "none", hash: info.narHash, size: info.narSize, location: "" };
}

/** What a file's name ends with, for those who go by names; Nix goes by the narinfo. */
const suffixes: Readonly<Record<string, string>> = {
  none: "",
  bzip2: ".bz2",
  br: ".br",
  gzip: ".gz",
  lz4: ".lz4",
  lzip: ".lzip",
  xz: ".xz",
  zstd: ".zst",
};

/** The compressions that are passed on; Nix knows no others. */
export const compressions: readonly string[] = Object.keys(suffixes);

/** Behind `.nar`, in the name of a file of this compression. */
export function suffixOf({ compression }: NarFile): string {
  return suffixes[compression] ?? "";
}
