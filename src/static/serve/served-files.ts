// Which files of a folder are served, and as what: those of a static cache, and nothing else that may lie there. Pure.

import { isHashPart } from "../../protocol/store-path.js";
import { cacheInfoName, hashPartOf, isTemporaryName, narNameOf } from "../cache-names.js";

/** The name below the cache's folder, and the content's type. */
export interface ServedFile {
  readonly name: string;
  readonly type: string;
}

const longestUrl = 512;

/** Null for everything that is not served. Nothing is decoded: no file of a cache has a name that would need it. */
export function servedFile(url: string | undefined): ServedFile | null {
  if (url === undefined || url.length > longestUrl || !url.startsWith("/")) return null;
  const name = url.slice(1).replace(/\?.*$/s, "");
  if (name === cacheInfoName) return { name, type: "text/x-nix-cache-info" };
  if (hashPartOf(name) !== null) return { name, type: "text/x-nix-narinfo" };
  if (name.endsWith(".ls") && isHashPart(name.slice(0, -".ls".length)))
    return { name, type: "application/json" };
  const isNar = narNameOf(name) !== null && /\.nar(\.[a-z0-9]+)?$/.test(name);
  return isNar && !isTemporaryName(name) ? { name, type: "application/x-nix-nar" } : null;
}
