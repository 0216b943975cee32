// Whether there is a binary cache: its `nix-cache-info`, which is asked for first and whenever there is doubt.

import { storeDir } from "../../protocol/store-path.js";
import { TetherError } from "../../util/errors.js";
import { readText } from "./body.js";
import { discard, type HttpClient } from "./http-client.js";

const maxBytes = 64 * 1024;

/**
 * Resolves when `base` is a binary cache for our store. Rejects with code `http-auth`, `http-no-cache`, `http-status`, or as
 * `HttpClient.get`. `fresh`: over a connection of its own, which proves that a new one can be made.
 */
export async function checkCacheInfo(
  client: HttpClient,
  base: URL,
  signal: AbortSignal,
  { fresh = true } = {},
): Promise<void> {
  const url = new URL("nix-cache-info", base);
  const { status, body } = await client.get(url, { signal, fresh });
  if (status !== 200) {
    discard(body);
    throw statusError(url, status);
  }
  const problem = cacheInfoProblem((await readText(body, maxBytes, signal)) ?? "");
  if (problem !== null) throw noCache(`${url.href} ${problem}`);
}

/** What stands in the way of using a cache with this `nix-cache-info`, or null. A portal answers everything, with its own page. */
export function cacheInfoProblem(text: string): string | null {
  const [, told] = /^StoreDir: *(\S*)\s*$/m.exec(text) ?? [];
  if (told === undefined) return "is no nix-cache-info";
  return told === storeDir ? null : `is of a cache for another store, ${told.slice(0, 200)}`;
}

/** What an answer with another status than 200 means. */
export function statusError(url: URL, status: number): TetherError {
  if (status === 401 || status === 403 || status === 407) {
    return new TetherError("http-auth", `${url.origin} refuses us: HTTP ${status} for ${url.pathname}`, {
      remedy: `Put \`machine ${url.hostname} login NAME password PASSWORD\` into the netrc file (~/.netrc, or what netrc-file names), or correct it there.`,
    });
  }
  if (status === 404 || status === 410) return noCache(`${url.href} is not there (HTTP ${status})`);
  return new TetherError("http-status", `${url.href} was answered with HTTP ${status}`);
}

function noCache(message: string): TetherError {
  return new TetherError("http-no-cache", message, {
    remedy: "Correct the URL: it is the one that Nix would be given as a substituter.",
  });
}
