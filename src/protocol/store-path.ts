// The shape of a store path: `/nix/store/<32 characters of Nix's base 32>-<name>`.

/** The store folder that every path here lies in; another one would need other paths and other caches. */
export const storeDir = "/nix/store";

const hashPart = /^[0-9abcdfghijklmnpqrsvwxyz]{32}$/;
// At most 211 characters, as in Nix: with the hash and ".drv" and the like it still is a file name.
const name = /^(?!\.{1,2}(-|$))[0-9a-zA-Z+\-._?=]{1,211}$/;

/** The two parts of a store path's base name. */
export interface StorePath {
  readonly hashPart: string;
  readonly name: string;
}

/** Whether `text` could be the hash part of a store path. */
export function isHashPart(text: string): boolean {
  return hashPart.test(text);
}

/** Takes `<hash>-<name>` apart; null when it is anything else. */
export function parseBaseName(text: string): StorePath | null {
  const parts = { hashPart: text.slice(0, 32), name: text.slice(33) };
  return hashPart.test(parts.hashPart) && text[32] === "-" && name.test(parts.name) ? parts : null;
}

/** Takes `/nix/store/<hash>-<name>` apart; null when it is anything else, a path below one included. */
export function parseStorePath(text: string): StorePath | null {
  return text.startsWith(`${storeDir}/`) ? parseBaseName(text.slice(storeDir.length + 1)) : null;
}

/** Whether `text` is a whole store path. */
export function isStorePath(text: string): boolean {
  return parseStorePath(text) !== null;
}

/** `/nix/store/<hash>-<name>` without the folder. */
export function baseNameOf(storePath: string): string {
  return storePath.slice(storeDir.length + 1);
}
