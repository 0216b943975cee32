// Builds NARs, Nix's archive format, of the few things that the demo's store holds.

import { encodeString } from "../protocol/writer.js";

/** A file's bytes, or a folder of such. */
export type Tree = Buffer | { readonly [name: string]: Tree };

/** The NAR of `tree`. */
export function encodeNar(tree: Tree): Buffer {
  return Buffer.concat([encodeString("nix-archive-1"), ...node(tree)]);
}

function node(tree: Tree): Buffer[] {
  if (Buffer.isBuffer(tree)) return tokens("(", "type", "regular", "contents", tree, ")");
  // NARs are canonical: entries sorted by their names' bytes.
  const entries = Object.entries(tree).toSorted(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return [
    ...tokens("(", "type", "directory"),
    ...entries.flatMap(([name, child]) => [
      ...tokens("entry", "(", "name", name, "node"),
      ...node(child),
      ...tokens(")"),
    ]),
    ...tokens(")"),
  ];
}

function tokens(...list: readonly (string | Buffer)[]): Buffer[] {
  return list.map(encodeString);
}
