// What is said of a name that no cache has, whoever finds out.

import { TetherError } from "../util/errors.js";
import { nearest } from "../util/suggest.js";

/** `names` are the caches that there are. */
export function unknownCache(cache: string, names: readonly string[]): TetherError {
  const meant = nearest(cache, names);
  const hint = meant === undefined ? "" : `, did you mean ${meant}?`;
  return new TetherError("unknown-cache", `there is no cache named ${cache}${hint}`, {
    remedy: names.length === 0 ? "No caches are configured." : `The caches are: ${names.join(", ")}`,
  });
}
