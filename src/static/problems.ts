// What is wrong with the paths of a static cache, as far as its narinfos and the names and sizes of its files tell. Pure.

import { signers } from "../protocol/signature.js";
import { parseStorePath } from "../protocol/store-path.js";
import type { CachedPath, Inventory } from "./inventory.js";

/** The first six are seen without a look into the NARs. */
export type ProblemKind =
  | "unusable-narinfo"
  | "wrong-name"
  | "missing-nar"
  | "missing-reference"
  | "wrong-size"
  | "untrusted"
  | "wrong-file-hash"
  | "wrong-nar"
  | "unreadable-nar"
  | "undecompressed-nar";

export interface Problem {
  readonly kind: ProblemKind;
  readonly hashPart: string;
  /** The file that is not as it should be, or not there. */
  readonly file: string;
  /** In words. */
  readonly text: string;
}

export function findProblems(inventory: Inventory): Problem[] {
  return [...inventory.paths.values()].flatMap((path) => problemsOf(path, inventory));
}

/** Nix takes what has a content address without any signature. */
export function findUntrusted({ paths }: Inventory, publicKeys: readonly string[]): Problem[] {
  return [...paths.values()].flatMap((path) => {
    const info = path.narinfo?.info;
    if (info === undefined || info.ca !== null || signers(info, publicKeys).length > 0) return [];
    const { hashPart, file } = path;
    const by = info.signatures.map((signature) => signature.split(":")[0]).join(", ");
    const text = by === "" ? "it is not signed" : `its signature (${by}) is by none of the known keys`;
    return [{ kind: "untrusted" as const, hashPart, file: file.name, text }];
  });
}

/** Others may trust what is merely untrusted, and read what a disk or a program fails to read now. */
const doubtful = new Set<ProblemKind>(["untrusted", "unreadable-nar", "undecompressed-nar"]);

/** Whether nobody is served by what is there. */
export function isBroken({ kind }: Problem): boolean {
  return !doubtful.has(kind);
}

function problemsOf(path: CachedPath, { paths, nars }: Inventory): Problem[] {
  const { hashPart, file, narinfo, problem } = path;
  const wrong = (kind: ProblemKind, text: string, name = file.name): Problem => ({
    kind,
    hashPart,
    file: name,
    text,
  });
  if (narinfo === null) return [wrong("unusable-narinfo", problem ?? "")];
  const found: Problem[] = [];
  if (parseStorePath(narinfo.info.path)?.hashPart !== hashPart)
    found.push(wrong("wrong-name", `it is about ${narinfo.info.path}`));
  for (const name of path.nars) {
    const nar = nars.get(name);
    if (nar === undefined) found.push(wrong("missing-nar", "its NAR is missing", name));
    else if (narinfo.fileSize !== null && narinfo.fileSize !== nar.size)
      found.push(wrong("wrong-size", `it has ${nar.size} bytes instead of ${narinfo.fileSize}`, name));
  }
  for (const reference of path.references)
    if (!paths.has(reference))
      found.push(wrong("missing-reference", "it refers to it, and it is missing", `${reference}.narinfo`));
  return found;
}
