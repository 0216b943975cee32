// A binary cache in a folder, between the local store and the target: what is copied into it is signed on the way. For
// those whom the local nix-daemon does not let sign in its store, as that of Nix 2.8 does with who is not trusted.

import { mkdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { baseNameOf, parseStorePath } from "../protocol/store-path.js";
import type { LocalInfos } from "../nix/path-infos.js";

export interface Stage {
  /** To copy into: with the key that signs. */
  readonly to: string;
  /** To copy from. */
  readonly from: string;
  remove(): Promise<void>;
}

/**
 * Makes an empty one in `folder`, which must be nobody else's. It takes `missing` without what these need beyond:
 * that is at the target already, and Nix is only to believe that it is here too.
 */
export async function makeStage(folder: string, keyFile: string, missing: LocalInfos): Promise<Stage> {
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  await remove();
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const beyond = [...missing.values()].flatMap(({ references }) =>
    references.filter((one) => !missing.has(one)),
  );
  for (const one of new Set(beyond)) {
    const name = `${parseStorePath(one)?.hashPart ?? baseNameOf(one)}.narinfo`;
    await writeFile(path.join(folder, name), stub(one));
  }
  const from = `file://${encodeURI(folder)}`;
  const query = new URLSearchParams({ "secret-key": keyFile, compression: "none" }).toString();
  return { from, to: `${from}?${query.replaceAll("+", "%20")}`, remove };
}

/** A narinfo without a NAR. Nix reads no more of it than that it is there, and that nothing else is needed. */
function stub(storePath: string): string {
  const hash = "0".repeat(52);
  const lines = {
    StorePath: storePath,
    URL: "nar/none",
    Compression: "none",
    NarHash: `sha256:${hash}`,
    NarSize: "1",
    References: "",
  };
  return Object.entries(lines)
    .map(([key, value]) => `${key}: ${value}\n`)
    .join("");
}
