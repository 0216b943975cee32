// How large the paths are that wait, for people: asked for when somebody looks, and remembered.

import { createSerial } from "../util/serial.js";
import type { NixTools } from "../nix/nix-tools.js";

export interface Sizes {
  /** Of a path's NAR, in bytes; null where that is not known. */
  of(path: string): number | null;
  /** Asks for those of `paths` that are not known, a thousand at most. Forgets all other paths. Never rejects. */
  learn(paths: readonly string[]): Promise<void>;
}

/** Asked for at a time: a list that a person reads. */
const most = 1_000;

/** What Nix did not know it is not asked again for so many milliseconds: somebody may look every second. */
const againMs = 10_000;

export function createSizes(nix: Pick<NixTools, "infos">, now: () => number = Date.now): Sizes {
  const sizes = new Map<string, { size: number | null; at: number }>();
  const inTurn = createSerial();
  const isUnknown = (path: string): boolean => {
    const known = sizes.get(path);
    return known === undefined || (known.size === null && Math.abs(now() - known.at) >= againMs);
  };
  return {
    of: (path) => sizes.get(path)?.size ?? null,
    learn: (paths) =>
      inTurn(async () => {
        const wanted = new Set(paths);
        for (const path of sizes.keys()) if (!wanted.has(path)) sizes.delete(path);
        const unknown = paths.filter(isUnknown).slice(0, most);
        if (unknown.length === 0) return;
        // A list without sizes is better than none.
        const infos = await nix.infos(unknown).catch(() => null);
        const at = now();
        for (const path of unknown) sizes.set(path, { size: infos?.get(path)?.size ?? null, at });
      }),
  };
}
