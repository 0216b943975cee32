// A binary cache in a folder of this machine, on the way from the local store to elsewhere: what is copied into it is
// compressed and signed on the way, also by those whom the nix-daemon does not let sign in its store.

import { mkdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { baseNameOf, parseStorePath } from "../protocol/store-path.js";
import type { LocalInfos } from "./path-infos.js";

export interface StageOptions {
  /** Must be nobody else's; what is in it is removed. */
  readonly folder: string;
  /** The secret key file to sign with. */
  readonly keyFile: string | null;
  readonly compression: "none" | "xz" | "zstd";
  /**
   * All that will be copied into it. What these need beyond is elsewhere already, and Nix is only to believe that it is here
   * too.
   */
  readonly missing: LocalInfos;
}

export interface Stage {
  readonly folder: string;
  /** To copy into: with the key that signs. */
  readonly to: string;
  /** To copy from. */
  readonly from: string;
  remove(): Promise<void>;
}

/** Makes an empty one. */
export async function makeStage({ folder, keyFile, compression, missing }: StageOptions): Promise<Stage> {
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
  const query = new URLSearchParams({
    ...(keyFile === null ? {} : { "secret-key": keyFile }),
    compression,
  }).toString();
  return { folder, from, to: `${from}?${query.replaceAll("+", "%20")}`, remove };
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
