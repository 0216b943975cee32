// What the schema can not know of farms: which names their results can be pushed to.

import { nearest } from "../util/suggest.js";
import type { FarmConfig } from "./farm-schema.js";

/** What of the rest of the configuration farms refer to. */
export interface FarmSurroundings {
  /** Names of `[static.NAME]`. */
  readonly statics: readonly string[];
  /** Names of `[caches.NAME]`. */
  readonly caches: readonly string[];
  /** `uploads.to`. */
  readonly uploadsTo: readonly string[];
}

/** What is wrong with the first farm that has something wrong, or null. */
export function farmProblem(
  farms: Readonly<Record<string, FarmConfig>>,
  { statics, caches, uploadsTo }: FarmSurroundings,
): string | null {
  const possible = [...statics, ...uploadsTo];
  for (const [name, farm] of Object.entries(farms))
    for (const target of farm["push-to"]) {
      if (possible.includes(target)) continue;
      const where = `farms.${name}.push-to`;
      if (caches.includes(target))
        return `${where}: nothing is uploaded to the cache ${target}; name it in uploads.to, too`;
      const meant = nearest(target, possible);
      const hint =
        meant === undefined ? `there are: ${possible.join(", ") || "none"}` : `did you mean ${meant}?`;
      return `${where}: there is no static cache, and no cache in uploads.to, named ${JSON.stringify(target)}; ${hint}`;
    }
  return null;
}
