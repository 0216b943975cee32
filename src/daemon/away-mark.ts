// What nix-tether-away@.service leaves behind when it has told Nix "not here" while no daemon could run: which paths that
// were it does not say, only when the last one was.

import { rmSync, statSync } from "node:fs";
import { nothingSaved, type Saved } from "./generation-file.js";

/** `saved`, for each cache with the denials that the mark at `file` stands for; as it is where there is no mark. */
export function withDenialsWhileAway(saved: Saved, caches: readonly string[], file: string): Saved {
  const at = lastDenial(file);
  if (at === null) return saved;
  const counted = caches.map((name) => {
    const before = saved[name] ?? nothingSaved;
    return [name, { ...before, lost: Math.max(before.lost, at) }] as const;
  });
  return { ...saved, ...Object.fromEntries(counted) };
}

/** Milliseconds since the epoch; null where no mark is to be seen. */
function lastDenial(file: string): number | null {
  try {
    return statSync(file).mtimeMs;
  } catch {
    return null;
  }
}

/** To be called when what `withDenialsWhileAway` has returned is saved. */
export function removeAwayMark(file: string): void {
  rmSync(file, { force: true });
}
