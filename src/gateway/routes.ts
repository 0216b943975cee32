// What a request asks for, told from its method, URL and headers alone.

import { nix32FromHex } from "../protocol/nix32.js";
import { fileOf, suffixOf, type OfferedPath } from "../protocol/offered-path.js";

/**
 * A request that the gateway understands; everything else is `none` and answered 404. `generation` is null where the
 * URL has none; `nar` is as `narUrl` has it.
 */
export type Route =
  | { readonly kind: "cache-info"; readonly cache: string }
  | {
      readonly kind: "narinfo";
      readonly cache: string;
      readonly generation: number | null;
      readonly hashPart: string;
    }
  | { readonly kind: "nar"; readonly cache: string; readonly hashPart: string; readonly nar: string }
  | { readonly kind: "none" };

const none: Route = { kind: "none" };
const longestUrl = 256;
const cachePrefix = /^\/([A-Za-z0-9][A-Za-z0-9_-]{0,31})(?:\/([0-9]|1[0-5]))?\/(.+)$/;
const digit = "[0-9abcdfghijklmnpqrsvwxyz]";
const narinfoName = new RegExp(`^(${digit}{32})\\.narinfo$`);
const narName = new RegExp(`^nar/(${digit}{32})-${digit}{52}\\.nar(?:\\.[a-z0-9]{1,8})?$`);

/**
 * The route of a request. A URL is `/<cache>/<name>` or, with a generation, `/<cache>/<0…15>/<name>`: the
 * generation only gives Nix's own lookup cache a fresh key, so it makes no difference to the answer.
 */
export function parseRoute(method: string | undefined, url: string | undefined): Route {
  if (method !== "GET" && method !== "HEAD") return none;
  if (url === undefined || url.length > longestUrl) return none;
  const [, cache, generation, name] = cachePrefix.exec(url) ?? [];
  if (cache === undefined || name === undefined) return none;
  if (name === "nix-cache-info") return { kind: "cache-info", cache };
  const [, narinfoHash] = narinfoName.exec(name) ?? [];
  if (narinfoHash !== undefined) {
    const under = generation === undefined ? null : Number(generation);
    return { kind: "narinfo", cache, generation: under, hashPart: narinfoHash };
  }
  const [nar, hashPart] = narName.exec(name) ?? [];
  return nar === undefined || hashPart === undefined ? none : { kind: "nar", cache, hashPart, nar };
}

/** Where a NAR is found, relative to its cache's URL. The hash in it lets an old narinfo be told from a new one. */
export function narUrl(hashPart: string, info: OfferedPath): string {
  return `nar/${hashPart}-${nix32FromHex(info.narHash)}.nar${suffixOf(fileOf(info))}`;
}

/**
 * The first byte wanted by a `Range: bytes=N-` header, the only form Nix sends (a retry after a cut). Null
 * where the whole is wanted, which is also a lawful answer to the forms not understood here.
 */
export function parseRangeStart(range: string | undefined): number | null {
  const [, digits] = /^bytes=(\d{1,20})-$/.exec(range ?? "") ?? [];
  return digits === undefined ? null : Number(digits);
}

/** Whether a Host header names this machine; anything else is a web page that rebound its name (DNS rebinding). */
export function isLoopbackHost(host: string | undefined): boolean {
  return /^(?:127\.0\.0\.1|localhost)(?::\d{1,5})?$/i.test(host ?? "");
}
