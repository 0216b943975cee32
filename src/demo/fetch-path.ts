// Asks a binary cache for a path the way Nix does, and believes nothing that was not checked.

import { createHash } from "node:crypto";
import { nix32FromHex } from "../protocol/nix32.js";
import { baseNameOf, storeDir } from "../protocol/store-path.js";
import { TetherError } from "../util/errors.js";
import { isSignedBy } from "./signing.js";

/** A NAR in the demo is a few megabytes; anything beyond this is not one of its. */
const maxNarBytes = 64 << 20;

/**
 * Fetches `path` from the cache at `base` (no query) and resolves to the length of its NAR. Rejects with code
 * `demo-fetch` when it is not there, or its hash, size or signature by `publicKey` is wrong.
 */
export async function fetchPath(
  base: string,
  path: string,
  publicKey: string,
  signal: AbortSignal,
): Promise<number> {
  const cacheInfo = await get(`${base}/nix-cache-info`, signal);
  if (!/^StoreDir: \/nix\/store$/m.test(await cacheInfo.text())) throw wrong(path, "no store folder is told");

  const narinfo = await (await get(narinfoUrl(base, path), signal)).text();
  const field = (name: string): string => new RegExp(`^${name}: (.*)$`, "m").exec(narinfo)?.[1] ?? "";
  if (field("StorePath") !== path) throw wrong(path, "the narinfo is of another path");

  const nar = await get(`${base}/${field("URL")}`, signal);
  const hash = createHash("sha256");
  let narSize = 0;
  for await (const chunk of nar.body ?? []) {
    narSize += chunk.length;
    if (narSize > maxNarBytes) throw wrong(path, "the NAR does not end");
    hash.update(chunk);
  }
  const narHash = hash.digest("hex");
  if (field("NarHash") !== `sha256:${nix32FromHex(narHash)}`) throw wrong(path, "the NAR has another hash");
  if (field("NarSize") !== String(narSize)) throw wrong(path, "the NAR has another size");

  const references = field("References").split(" ").filter(Boolean);
  const signed = { path, narHash, narSize, references: references.map((name) => `${storeDir}/${name}`) };
  if (!isSignedBy(publicKey, field("Sig"), signed)) throw wrong(path, "the signature is not the Pi's");
  return narSize;
}

/** The status of a lookup of `path`: 200 when the cache has it. */
export async function lookUp(base: string, path: string, signal: AbortSignal): Promise<number> {
  const response = await fetch(narinfoUrl(base, path), { signal });
  await response.arrayBuffer();
  return response.status;
}

function narinfoUrl(base: string, path: string): string {
  return `${base}/${baseNameOf(path).slice(0, 32)}.narinfo`;
}

async function get(url: string, signal: AbortSignal): Promise<Response> {
  const response = await fetch(url, { signal });
  if (response.status !== 200) throw new TetherError("demo-fetch", `${url} was answered ${response.status}`);
  return response;
}

function wrong(path: string, what: string): TetherError {
  return new TetherError("demo-fetch", `${path}: ${what}`);
}
