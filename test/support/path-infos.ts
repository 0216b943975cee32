// What a nix-daemon tells of paths, for tests that need no store.

import type { PathInfo } from "../../src/protocol/path-info.js";

/** An unsigned path without references, whose NAR has this length. */
export function infoOf(path: string, narSize: number): PathInfo {
  const narHash = "0".repeat(64);
  return { path, narHash, narSize, references: [], deriver: null, signatures: [], ca: null };
}

/** The hash part of the path with this number. */
export function numberedHash(i: number): string {
  return String(i).padStart(32, "0");
}

/** The path with this number. */
export function numberedPath(i: number): string {
  return `/nix/store/${numberedHash(i)}-thing`;
}
