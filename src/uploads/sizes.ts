// How large the paths are that wait, for people: asked for when somebody looks, and remembered.

import type { NixTools } from "./nix-tools.js";
import { createSerial } from "../util/serial.js";

export interface Sizes {
  /** Of a path's NAR, in bytes; null where that is not known. */
  of(path: string): number | null;
  /**
   * Asks for those of `paths` that were not asked for before, or with `again` for those that are not known; for a thousand
   * at most. Forgets all other paths. Never rejects.
   */
  learn(paths: readonly string[], options?: { again: boolean }): Promise<void>;
}

/** Asked for at a time: a list that a person reads. */
const most = 1_000;

export function createSizes(nix: Pick<NixTools, "infos">): Sizes {
  /** Null: Nix was asked and does not know. */
  const sizes = new Map<string, number | null>();
  const inTurn = createSerial();
  return {
    of: (path) => sizes.get(path) ?? null,
    learn: (paths, { again } = { again: false }) =>
      inTurn(async () => {
        const wanted = new Set(paths);
        for (const path of sizes.keys()) if (!wanted.has(path)) sizes.delete(path);
        const isUnknown = (path: string): boolean =>
          again ? (sizes.get(path) ?? null) === null : !sizes.has(path);
        const unknown = paths.filter(isUnknown).slice(0, most);
        if (unknown.length === 0) return;
        // A list without sizes is better than none.
        const infos = await nix.infos(unknown).catch(() => null);
        for (const path of unknown) sizes.set(path, infos?.get(path)?.size ?? null);
      }),
  };
}
