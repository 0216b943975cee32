// What the schema of a cache can not know: which other caches there are, and of what kind. Pure.

import { nearest } from "../util/suggest.js";
import type { CacheConfig } from "./cache-schema.js";

type Caches = Readonly<Record<string, CacheConfig>>;

/** What is wrong with the names of caches that `uploadsTo` and the caches' `via` hold, in a sentence; or null. */
export function cacheProblem(caches: Caches, uploadsTo: readonly string[]): string | null {
  for (const name of uploadsTo) {
    const problem = unknownCache(caches, name);
    if (problem !== null) return `uploads.to: ${problem}`;
    if (caches[name]?.type !== "ssh") {
      return `uploads.to: ${name} is of type "http", and a web server takes no uploads; name a cache of type "ssh", or fill it with \`nix-tether push\``;
    }
  }
  for (const [name, cache] of Object.entries(caches)) {
    if (cache.type !== "http") continue;
    const vias = [cache.via, ...cache.ways.map((way) => way.via)].filter((via) => via !== undefined);
    for (const via of vias) {
      const problem = unknownCache(caches, via);
      if (problem !== null) return `caches.${name}.via: ${problem}`;
      if (caches[via]?.type !== "ssh") {
        return `caches.${name}.via: ${via} is of type "http", and only a machine with sshd can open connections`;
      }
    }
  }
  return null;
}

function unknownCache(caches: Caches, name: string): string | null {
  if (Object.hasOwn(caches, name)) return null;
  const names = Object.keys(caches);
  const meant = nearest(name, names);
  const hint = meant === undefined ? `there are: ${names.join(", ") || "none"}` : `did you mean ${meant}?`;
  return `no cache is named ${JSON.stringify(name)}; ${hint}`;
}
