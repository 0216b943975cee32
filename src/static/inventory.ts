// What a static cache holds, read once: which paths, what they refer to, which NARs there are, and what belongs to nothing.

import { maxNarinfoBytes, parseNarinfo, type Narinfo } from "../protocol/narinfo-file.js";
import { baseNameOf, isHashPart, parseStorePath } from "../protocol/store-path.js";
import { messageOf } from "../util/errors.js";
import { inParallel } from "../util/in-parallel.js";
import type { CacheFolder, FolderEntry } from "./cache-folder.js";
import { hashPartOf, isTemporaryName, narFolder, narNameOf, pushMarkPrefix } from "./cache-names.js";

/** A file by its name below the cache's folder; its size is in bytes, its time in milliseconds since the epoch. */
export type CacheFile = Pick<FolderEntry, "name" | "size" | "modifiedAt">;

/** What a cache has under one narinfo's name. */
export interface CachedPath {
  readonly hashPart: string;
  readonly file: CacheFile;
  /** The `.ls` file beside it, which some caches have. */
  readonly listing: CacheFile | null;
  /** Null where it can not be used; then `problem` says why. */
  readonly narinfo: Narinfo | null;
  readonly problem: string | null;
  /** The hash parts of the other paths that it refers to: here or not. What can not be used refers to all it mentions. */
  readonly references: readonly string[];
  /** The names of its NAR's file, here or not; of what can not be used all that it mentions. */
  readonly nars: readonly string[];
}

export interface Inventory {
  /** By their hash parts. */
  readonly paths: ReadonlyMap<string, CachedPath>;
  /** By their names, `nar/…`. */
  readonly nars: ReadonlyMap<string, CacheFile>;
  /** What has begun to be written and may never be finished, and `.ls` files without a narinfo. */
  readonly leftovers: readonly CacheFile[];
}

export interface ReadOptions {
  readonly signal: AbortSignal;
  /** Told how many of the narinfos have been read. */
  readonly onRead?: (read: number, all: number) => void;
}

/** So many at once make up for a way there that takes its time. */
const readsAtOnce = 64;

/**
 * Rejects with what the folder rejects with: what can not be read could be anything. Narinfos are listed before the NARs, for
 * a NAR is there before its narinfo is.
 */
export async function readInventory(folder: CacheFolder, options: ReadOptions): Promise<Inventory> {
  const { signal, onRead } = options;
  const top = (await folder.list("", signal)).filter(({ kind }) => kind === "file");
  const inNarFolder = (await folder.list(narFolder, signal)).filter(({ kind }) => kind === "file");
  const narFiles = inNarFolder.map(({ name, size, modifiedAt }) => ({
    name: `${narFolder}/${name}`,
    size,
    modifiedAt,
  }));
  const listings = new Map(top.flatMap((entry) => (isListing(entry.name) ? [[entry.name, entry]] : [])));
  const narinfos = top.filter(({ name }) => hashPartOf(name) !== null);
  const paths = new Map<string, CachedPath>();
  let read = 0;
  await inParallel(narinfos, readsAtOnce, async (file) => {
    const found = await readPath(
      folder,
      file,
      listings.get(listingName(hashPartOf(file.name) ?? "")),
      signal,
    );
    if (found !== null) paths.set(found.hashPart, found);
    onRead?.((read += 1), narinfos.length);
  });
  const lonely = [...listings.values()].filter(({ name }) => !paths.has(name.slice(0, 32)));
  return {
    paths: new Map([...paths].toSorted(([a], [b]) => (a < b ? -1 : 1))),
    nars: new Map(narFiles.filter(({ name }) => !isUnfinished(name)).map((file) => [file.name, file])),
    leftovers: [...top, ...narFiles].filter(({ name }) => isUnfinished(name)).concat(lonely),
  };
}

/** For people: the name of the store path, or what is known of it. */
export function nameOf({ hashPart, narinfo }: CachedPath): string {
  return narinfo === null ? hashPart : baseNameOf(narinfo.info.path);
}

/** Null where it has been removed meanwhile. */
async function readPath(
  folder: CacheFolder,
  file: FolderEntry,
  listing: FolderEntry | undefined,
  signal: AbortSignal,
): Promise<CachedPath | null> {
  const hashPart = hashPartOf(file.name) ?? "";
  const facts = { hashPart, file, listing: listing ?? null };
  if (file.size > maxNarinfoBytes) return unusable(facts, "", "it is far too long for a narinfo");
  const bytes = await folder.read(file.name, maxNarinfoBytes, signal);
  if (bytes === null) return null;
  const text = bytes.toString();
  try {
    const narinfo = parseNarinfo(text);
    const nar = narNameOf(narinfo.url);
    if (nar === null) return unusable(facts, text, `its URL leads out of ${narFolder}/`);
    const references = narinfo.info.references.flatMap((path) => parseStorePath(path)?.hashPart ?? []);
    return { ...facts, narinfo, problem: null, references: others(references, hashPart), nars: [nar] };
  } catch (error) {
    return unusable(facts, text, messageOf(error));
  }
}

/** What it mentions may be what it refers to; Nix finds the references of a path in the same way. */
function unusable(
  facts: Pick<CachedPath, "hashPart" | "file" | "listing">,
  text: string,
  problem: string,
): CachedPath {
  const hashes = text.match(/(?<![0-9a-z])[0-9a-z]{32}(?![0-9a-z])/g) ?? [];
  const nars = text.match(/nar\/[A-Za-z0-9._+=-]+/g) ?? [];
  const references = others(hashes.filter(isHashPart), facts.hashPart);
  return { ...facts, narinfo: null, problem, references, nars: [...new Set(nars)] };
}

function others(hashParts: readonly string[], own: string): string[] {
  return [...new Set(hashParts)].filter((one) => one !== own);
}

function listingName(hashPart: string): string {
  return `${hashPart}.ls`;
}

function isListing(name: string): boolean {
  return name.endsWith(".ls") && isHashPart(name.slice(0, -".ls".length));
}

/** Ours, the mark of a push among them, or what Nix's own writing into a folder has left (`LocalBinaryCacheStore::upsertFile`). */
function isUnfinished(name: string): boolean {
  const base = name.slice(name.lastIndexOf("/") + 1);
  return isTemporaryName(base) || base.startsWith(pushMarkPrefix) || /\.tmp\.\d+\.\d+$/.test(base);
}
