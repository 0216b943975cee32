// What of a closure a static cache has already.

import type { LocalInfos } from "../nix/path-infos.js";
import { maxNarinfoBytes, parseNarinfo, type Narinfo } from "../protocol/narinfo-file.js";
import { signers } from "../protocol/signature.js";
import { parseStorePath } from "../protocol/store-path.js";
import { inParallel } from "../util/in-parallel.js";
import type { CacheFolder } from "./cache-folder.js";
import { narFolder, narinfoName, narNameOf } from "./cache-names.js";

export interface Present {
  /** Those that need not be sent. */
  readonly paths: ReadonlySet<string>;
  /** The sizes of all NARs there, by their names (`nar/…`), in bytes. */
  readonly nars: ReadonlyMap<string, number>;
  /** The files of what is there that have been unchanged for a while. */
  readonly old: readonly string[];
  /** What is there and counts as missing, by its path. */
  readonly replaced: ReadonlyMap<string, Narinfo>;
}

export interface PresentOptions {
  /** What is not signed by that key (`name:base64`) counts as missing; null where any signatures will do. */
  readonly publicKey: string | null;
  /** By the folder's clock, in milliseconds since the epoch. */
  readonly now: number;
  readonly signal: AbortSignal;
}

/** What is younger needs not be touched: collections count in days. In milliseconds. */
const youngMs = 60 * 60_000;

/** So many at once make up for a way there that takes its time. */
const readsAtOnce = 64;

/** A narinfo counts where it can be used, and its NAR is there with its size. */
export async function findPresent(
  folder: CacheFolder,
  infos: LocalInfos,
  { publicKey, now, signal }: PresentOptions,
): Promise<Present> {
  // First the narinfos: a NAR is there before its narinfo is.
  const narinfos = new Map((await folder.list("", signal)).map((entry) => [entry.name, entry]));
  const narEntries = await folder.list(narFolder, signal);
  const nars = new Map(narEntries.map((entry) => [`${narFolder}/${entry.name}`, entry]));
  const paths = new Set<string>();
  const old: string[] = [];
  const replaced = new Map<string, Narinfo>();
  const look = async (path: string): Promise<void> => {
    const name = narinfoName(parseStorePath(path)?.hashPart ?? "");
    const entry = narinfos.get(name);
    if (entry === undefined || entry.size > maxNarinfoBytes) return;
    const narinfo = narinfoIn(await folder.read(name, maxNarinfoBytes, signal), path);
    if (narinfo === null) return;
    const nar = narNameOf(narinfo.url) ?? "";
    const narEntry = nars.get(nar);
    const isWhole = narEntry !== undefined && narEntry.size === (narinfo.fileSize ?? narEntry.size);
    if (!isWhole || !isSigned(narinfo, publicKey)) return void replaced.set(path, narinfo);
    paths.add(path);
    for (const file of [{ ...narEntry, name: nar }, entry])
      if (Math.abs(now - file.modifiedAt) > youngMs) old.push(file.name);
  };
  await inParallel([...infos.keys()], readsAtOnce, look);
  return { paths, nars: new Map([...nars].map(([name, { size }]) => [name, size])), old, replaced };
}

/** Really: a key that was made anew has its old name. */
function isSigned({ info }: Narinfo, publicKey: string | null): boolean {
  return publicKey === null || signers(info, [publicKey]).length > 0;
}

/** Null where the narinfo is not one of `path` that can be used. */
function narinfoIn(bytes: Buffer | null, path: string): Narinfo | null {
  if (bytes === null) return null;
  try {
    const narinfo = parseNarinfo(bytes.toString());
    return narinfo.info.path === path ? narinfo : null;
  } catch {
    return null;
  }
}
