// What the Nix on this machine says: whether a path is in its store and where it is from, which keys count, which other caches
// it has.

import { readdir } from "node:fs/promises";
import path from "node:path";
import { createHere } from "../doctor/here.js";
import { storeDir } from "../protocol/store-path.js";
import { createNixTools } from "../nix/nix-tools.js";
import type { LocalPath, NixFacts } from "./facts.js";
import { lookAtOthers } from "./other-caches.js";
import { keyName } from "./verdict.js";

/** Nix may wait for a garbage collector; nobody wants to wait with it. */
const deadlineMs = 10_000;

/** The path in the local store that begins with these 32 characters, or null. */
export async function findLocalPath(hashPart: string, env: NodeJS.ProcessEnv): Promise<string | null> {
  const folder = env["NIX_STORE_DIR"] ?? storeDir;
  const names = await readdir(folder).catch(() => []);
  const name = names.find((one) => one.startsWith(`${hashPart}-`) && !/\.(lock|drv\.chroot)$/.test(one));
  return name === undefined ? null : path.join(folder, name);
}

/** The path in the local store; null where that can not be asked. Bounded; never rejects. */
export async function lookAtLocal(storePath: string, env: NodeJS.ProcessEnv): Promise<LocalPath | null> {
  const nix = createNixTools(env);
  const signal = AbortSignal.timeout(deadlineMs);
  try {
    const [gone] = await nix.invalid([storePath], signal);
    if (gone !== undefined) return { present: false, builtHere: false, signers: [] };
    const info = (await nix.infos([storePath], signal)).get(storePath);
    if (info === undefined) return null;
    return {
      present: true,
      builtHere: info.ultimate,
      signers: [...new Set(info.signatures.map(keyName))],
    };
  } catch {
    return null;
  }
}

/**
 * What Nix goes by; null where it does not tell. `ours` says whether a URL is one of the gateway's. Bounded; never rejects.
 */
export async function lookAtNix(options: {
  readonly hashPart: string;
  /** Of the cache that is asked last. */
  readonly priority: number;
  readonly ours: (url: string) => boolean;
  readonly env: NodeJS.ProcessEnv;
}): Promise<NixFacts | null> {
  const here = createHere(options.env);
  const signal = AbortSignal.timeout(deadlineMs);
  try {
    const own = await here.own(signal);
    // Our own files count for nothing with a nix-daemon that does not trust us.
    const counts = (await here.standing(signal)) === "untrusted" ? await here.system(signal) : own;
    const urls = own.list("substituters").filter((url) => !options.ours(url));
    return {
      keys: counts.list("trusted-public-keys"),
      requireSignatures: counts.text("require-sigs") !== "false",
      others: await lookAtOthers([...new Set(urls)], options),
    };
  } catch {
    return null;
  }
}
