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
  const wrong = (why: string): TetherError =>
    new TetherError("not-a-cache", `${folder.label} is no static binary cache: ${why}`, {
      remedy: "Name an empty folder, one that is not there yet, or one that holds a nix-cache-info.",
    });
  const info = await folder.read(cacheInfoName, maxBytes, signal);
  if (info !== null) {
    const [, store] = /^StoreDir: *(.*)$/m.exec(info.toString()) ?? [];
    if (store !== undefined && store !== storeDir) throw wrong(`it is for the store ${store}`);
    return true;
  }
  const strange = (await folder.list("", signal)).find(
    ({ name }) => !expected.has(name) && !name.startsWith(".") && hashPartOf(name) === null,
  );
  if (strange !== undefined) throw wrong(`it holds ${JSON.stringify(strange.name)}, and no ${cacheInfoName}`);
  return false;
}

/** Makes the folder, where it is missing, and the description. */
export async function makeCache(folder: CacheFolder, signal: AbortSignal): Promise<void> {
  await folder.makeFolder("", signal);
  await folder.put(cacheInfoName, Buffer.from(description), { signal });
}
