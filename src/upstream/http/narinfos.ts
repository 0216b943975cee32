// What a far binary cache says of paths: its narinfos, checked, and where they say that the NARs are.

import type { NarFile, OfferedPath } from "../../protocol/offered-path.js";
import { ProtocolError } from "../../protocol/errors.js";
import { maxNarinfoBytes, parseNarinfo, type Narinfo } from "../../protocol/narinfo-file.js";
import { isHashPart } from "../../protocol/store-path.js";
import { readText } from "./body.js";
import { statusError } from "./cache-info.js";
import { discard, type HttpClient } from "./http-client.js";

/**
 * The path whose base name begins with `hashPart`, or null where the cache has none. Rejects as `HttpClient.get`, with codes of
 * `statusError`, or with a ProtocolError where what it says makes no sense.
 */
export async function askNarinfo(
  client: HttpClient,
  base: URL,
  hashPart: string,
  signal: AbortSignal,
): Promise<OfferedPath | null> {
  if (!isHashPart(hashPart)) return null;
  const url = new URL(`${hashPart}.narinfo`, base);
  const { status, body } = await client.get(url, { signal });
  if (status !== 200) {
    discard(body);
    if (isAbsence(status)) return null;
    throw statusError(url, status);
  }
  const text = await readText(body, maxNarinfoBytes, signal);
  if (text === null) throw bad("it is encoded, or far too long");
  const narinfo = parseNarinfo(text);
  return { ...narinfo.info, file: await fileIn(narinfo, client, base, signal) };
}

/** Object stores say 403 where there is nothing, and Nix takes it so. */
export function isAbsence(status: number): boolean {
  return status === 404 || status === 410 || status === 403;
}

async function fileIn(
  { info, url, compression, fileHash, fileSize }: Narinfo,
  client: HttpClient,
  base: URL,
  signal: AbortSignal,
): Promise<NarFile> {
  const location = narLocation(url, base);
  if (compression === "none" && fileSize !== null && fileSize !== info.narSize)
    throw bad("its FileSize is not its NarSize, although nothing is compressed");
  const told = compression === "none" ? info.narSize : fileSize;
  const size = told ?? (await sizeOf(location, client, signal));
  // As the narinfo has it: the next way to the cache may have another base.
  return { compression, hash: fileHash, size, location: url };
}

/**
 * Where a narinfo's URL leads: as in Nix an absolute one, or what stands behind the cache's own URL.
 * @throws ProtocolError
 */
export function narLocation(url: string, base: URL): URL {
  const absolute = /^[a-z][a-z0-9+.-]*:/i.test(url);
  const text = absolute ? url : `${base.href}${url}`;
  if (!URL.canParse(text)) throw bad("its URL is malformed");
  const location = new URL(text);
  if (location.protocol !== "https:" && location.protocol !== "http:") throw bad("its URL is none of HTTP");
  if (base.protocol === "https:" && location.protocol === "http:")
    throw bad("its URL leads from https to http");
  location.username = location.password = location.hash = "";
  return location;
}

/** Where the narinfo is silent. */
async function sizeOf(location: URL, client: HttpClient, signal: AbortSignal): Promise<number> {
  const { status, headers, body } = await client.get(location, { signal, method: "HEAD" });
  discard(body);
  const size = Number(headers["content-length"] ?? Number.NaN);
  if (status !== 200 || !Number.isSafeInteger(size)) throw bad("nobody tells how long its file is");
  return size;
}

function bad(why: string): ProtocolError {
  return new ProtocolError("bad-value", `the narinfo can not be used: ${why}`);
}
