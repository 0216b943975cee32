// Whether a static cache is whole at this moment, as a reader would find it.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { hashPartOf } from "../../src/static/cache-names.js";
import { parseNarinfo } from "../../src/protocol/narinfo-file.js";
import { parseStorePath } from "../../src/protocol/store-path.js";

export interface Validity {
  /** The store paths that it has. */
  readonly paths: string[];
  /** What is wrong, a sentence each. */
  readonly problems: string[];
}

/** Every narinfo's NAR must be there, with its size and its hash, and the narinfos of all that it refers to. */
export function validityOf(folder: string, { hashes = true } = {}): Validity {
  const problems: string[] = [];
  const paths: string[] = [];
  const names = readdirSync(folder).filter((name) => hashPartOf(name) !== null);
  const known = new Set(names);
  for (const name of names) {
    const { info, url, fileSize, fileHash } = parseNarinfo(readFileSync(path.join(folder, name), "utf8"));
    paths.push(info.path);
    for (const one of info.references)
      if (!known.has(`${parseStorePath(one)?.hashPart}.narinfo`)) problems.push(`${info.path} lacks ${one}`);
    const nar = path.join(folder, url);
    const size = statSync(nar, { throwIfNoEntry: false })?.size;
    if (size !== fileSize) problems.push(`${nar} has ${size} of ${fileSize} bytes`);
    else if (hashes && createHash("sha256").update(readFileSync(nar)).digest("hex") !== fileHash)
      problems.push(`${nar} is damaged`);
  }
  return { paths: paths.toSorted(), problems };
}
