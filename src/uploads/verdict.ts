// What follows from a batch that failed: pure.

import type { CopyFailure } from "./copy-failure.js";
import { refusedAlike } from "../nix/path-infos.js";
import type { Sent } from "./send.js";

export interface Verdict {
  /** These have failed; none where it is not known yet what is bad in the batch. */
  readonly failed: readonly string[];
  /** The target itself is in trouble, and is left alone for a while. */
  readonly backOff: boolean;
}

/** `keyName` is of the key that all of them are signed with, if any. */
export function verdict(
  failure: CopyFailure,
  batch: readonly string[],
  { blamed, infos }: Pick<Sent, "blamed" | "infos">,
  keyName: string | null,
): Verdict {
  const refused = failure.code === "unsigned";
  const alike = refused ? refusedAlike(failure.path, batch, infos, keyName) : [];
  const found = [...new Set([...blamed, ...alike])];
  const isFound = refused || batch.length === 1 || found.length < batch.length;
  return {
    failed: isFound ? found : [],
    backOff: /^(target-|link-)/.test(failure.code),
  };
}
