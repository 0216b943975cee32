// What goes wrong in a cache's folder, in the words of every kind of folder.

import { TetherError } from "../util/errors.js";

export type FolderProblem = "full" | "forbidden" | "unreachable" | "failed";

/** `message` says what could not be done where, and why. */
export function folderError(problem: FolderProblem, message: string, cause: unknown): TetherError {
  switch (problem) {
    case "full":
      return new TetherError("cache-full", message, {
        cause,
        remedy: "Make room there (`nix-tether gc` removes what is old), and try again.",
      });
    case "forbidden":
      return new TetherError("cache-forbidden", message, {
        cause,
        remedy: "Give yourself the right to write there, or push as who has it.",
      });
    case "unreachable":
      return new TetherError("cache-unreachable", message, { cause });
    case "failed":
      return new TetherError("cache-failed", message, { cause });
  }
}
