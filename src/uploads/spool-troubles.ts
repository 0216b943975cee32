// What can be wrong with the queue of uploads, or with what is asked of it, in words for a person.

import { TetherError, messageOf } from "../util/errors.js";

/** `spool-unwritable`: nothing can be written down; `upload-unprotected`: the garbage collector may take what waits. */
export type SpoolTrouble = "spool-unwritable" | "upload-unprotected";

/** The path is none that can be queued. */
export function notUploadable(path: string): TetherError {
  return new TetherError("not-uploadable", `${path} is no store path that can be uploaded`, {
    remedy:
      "Give what was built: /nix/store/<hash>-<name>, without anything below it, and no derivation (.drv).",
  });
}

/** There is nowhere to send it. */
export function noTargets(): TetherError {
  return new TetherError("no-targets", "there is no cache to upload to", {
    remedy: 'Name one in the configuration:\n[uploads]\nto = ["pi"]',
  });
}

/** The error itself where it is meant for a person already. */
export function asTrouble(code: SpoolTrouble, error: unknown): TetherError {
  if (error instanceof TetherError) return error;
  return new TetherError(code, messageOf(error), { cause: error });
}
