// The store paths that a person means: given as such, or as a link such as `result`.

import { realpath } from "node:fs/promises";
import path from "node:path";
import { TetherError, messageOf } from "../util/errors.js";

const remedy = "Give store paths, or links to them such as ./result.";

/** @throws TetherError `usage` for what does not lead into the store */
export function storePathsOf(words: readonly string[]): Promise<string[]> {
  return Promise.all(
    words.map(async (word) => {
      // What is queued may be gone from the store, and still be asked about.
      if (/^\/nix\/store\/[^/]+$/.test(word)) return word;
      const real = await realpath(path.resolve(word)).catch((error: unknown) => {
        const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
        const why = isMissing ? "there is no such file" : messageOf(error);
        throw new TetherError("usage", `${word} can not be found: ${why}`, { remedy, cause: error });
      });
      const [inStore] = /^\/nix\/store\/[^/]+/.exec(real) ?? [];
      if (inStore !== undefined) return inStore;
      throw new TetherError("usage", `${word} is not in the Nix store`, { remedy });
    }),
  );
}
