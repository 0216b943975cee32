// Which paths of a cache a person wants to be kept, whatever their age. Pure.

import { isHashPart, parseBaseName, parseStorePath } from "../protocol/store-path.js";
import { TetherError } from "../util/errors.js";
import { matchesGlob } from "../util/glob.js";
import { nameOf, type CachedPath, type Inventory } from "./inventory.js";

/** `word` as the person wrote it. */
export interface Pin {
  readonly word: string;
  readonly fits: (path: CachedPath) => boolean;
}

/**
 * `word` is a store path, its 32 first characters, or a pattern for the names of paths such as `hello-*`.
 * @throws TetherError `usage` for what is none of these
 */
export function parsePin(word: string): Pin {
  const parsed = parseStorePath(word) ?? parseBaseName(word);
  const wanted = parsed?.hashPart ?? (isHashPart(word) ? word : null);
  if (wanted !== null) return { word, fits: ({ hashPart }) => hashPart === wanted };
  if (/^[0-9a-zA-Z+\-._?=*]{1,211}$/.test(word)) {
    // Behind the hash and its "-".
    return { word, fits: (path) => path.narinfo !== null && matchesGlob(nameOf(path).slice(33), word) };
  }
  throw new TetherError("usage", `${JSON.stringify(word)} names nothing that could be kept`, {
    remedy: 'Give a store path, its first 32 characters, or a pattern for names such as "nixos-system-*".',
  });
}

export interface Pinned {
  readonly hashParts: ReadonlySet<string>;
  /** The words that fit nothing. */
  readonly unused: readonly string[];
}

export function pinnedPaths({ paths }: Inventory, pins: readonly Pin[]): Pinned {
  const hashParts = new Set<string>();
  const unused: string[] = [];
  for (const { word, fits } of pins) {
    const found = [...paths.values()].filter(fits);
    if (found.length === 0) unused.push(word);
    for (const { hashPart } of found) hashParts.add(hashPart);
  }
  return { hashParts, unused };
}
