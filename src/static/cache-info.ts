// The description of a static cache: read, and made where there is none.

import { storeDir } from "../protocol/store-path.js";
import { TetherError } from "../util/errors.js";
import type { CacheFolder } from "./cache-folder.js";
import { cacheInfoName, hashPartOf } from "./cache-names.js";

/** A cache's own description is a few lines. */
const maxBytes = 64 * 1024;

/** Asked before cache.nixos.org, whose priority is 40: it is nearer. */
const description = `StoreDir: ${storeDir}\nWantMassQuery: 1\nPriority: 30\n`;

/** What `nix copy --to file://…` makes beside narinfos, and what an empty disk has. */
const expected = new Set(["nar", "realisations", "log", "debuginfo", "lost+found"]);

/**
 * Resolves to whether it has its description; false where it may be given one. Changes nothing.
 * @throws TetherError `not-a-cache` where other files lie there, or it is for another store; what the folder throws
 */
export async function checkCache(folder: CacheFolder, signal: AbortSignal): Promise<boolean> {
  const remedy = "Name an empty folder, one that is not there yet, or one that holds a nix-cache-info.";
  if (await isDescribed(folder, signal, remedy)) return true;
  const strange = (await folder.list("", signal)).find(
    ({ name }) => !expected.has(name) && !name.startsWith(".") && hashPartOf(name) === null,
  );
  if (strange === undefined) return false;
  throw noCache(folder, `it holds ${JSON.stringify(strange.name)}, and no ${cacheInfoName}`, remedy);
}

/** @throws TetherError `not-a-cache` where it is not there, has no description or is for another store; what the folder throws */
export async function requireCache(folder: CacheFolder, signal: AbortSignal): Promise<void> {
  const remedy = `Name the folder that holds the ${cacheInfoName}. Nothing has been changed.`;
  if (!(await isDescribed(folder, signal, remedy)))
    throw noCache(folder, `there is no ${cacheInfoName} in it`, remedy);
}

async function isDescribed(folder: CacheFolder, signal: AbortSignal, remedy: string): Promise<boolean> {
  const info = await folder.read(cacheInfoName, maxBytes, signal);
  if (info === null) return false;
  const [, store] = /^StoreDir: *(.*)$/m.exec(info.toString()) ?? [];
  if (store === undefined || store === storeDir) return true;
  throw noCache(folder, `it is for the store ${store}`, remedy);
}

function noCache({ label }: CacheFolder, why: string, remedy: string): TetherError {
  return new TetherError("not-a-cache", `${label} is no static binary cache: ${why}`, { remedy });
}

/** Makes the folder, where it is missing, and the description. */
export async function makeCache(folder: CacheFolder, signal: AbortSignal): Promise<void> {
  await folder.makeFolder("", signal);
  await folder.put(cacheInfoName, Buffer.from(description), { signal });
}
