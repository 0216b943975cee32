// The names of the files in a static binary cache, as `nix copy --to file://…` makes them, and ours beside them.

import { randomBytes } from "node:crypto";
import { isHashPart } from "../protocol/store-path.js";

/** Says what store the cache is for. A folder without it is no cache. */
export const cacheInfoName = "nix-cache-info";

/** Where the NARs lie. */
export const narFolder = "nar";

/** What a push that goes on has left in the cache's folder: see activity.ts. */
export const pushMarkPrefix = ".nix-tether-push-";

/** What a collection that goes on has left there. */
export const collectionLockName = ".nix-tether-gc";

/** Names that begin so are unfinished; nothing reads them, and what is old of them may be removed. */
const temporaryPrefix = ".tmp-";

/** The name of a file that is being written. */
export function randomTemporaryName(): string {
  return `${temporaryPrefix}${randomBytes(8).toString("hex")}`;
}

/** That of a file whose name tells its content, so that whoever writes it next can go on with it. */
export function resumableTemporaryName(name: string): string {
  return `${temporaryPrefix}${name}`;
}

export function isTemporaryName(name: string): boolean {
  return name.startsWith(temporaryPrefix);
}

export function narinfoName(hashPart: string): string {
  return `${hashPart}.narinfo`;
}

/** The hash part of the store path that a file of this name is about; null where it is no narinfo's name. */
export function hashPartOf(name: string): string | null {
  const hashPart = name.endsWith(".narinfo") ? name.slice(0, -".narinfo".length) : "";
  return isHashPart(hashPart) ? hashPart : null;
}

/**
 * The name below the cache's folder of the NAR that a narinfo names by `url`, such as `nar/x.nar.xz`; null for one that lies
 * anywhere else, which no cache in a folder can mean.
 */
export function narNameOf(url: string): string | null {
  return /^nar\/[A-Za-z0-9][A-Za-z0-9._+=-]{0,200}$/.test(url) ? url : null;
}
