// Hand-made NARs, after the grammar in Nix's manual ("Nix Archive format").

import { encodeString } from "../../src/protocol/writer.js";

/** A file, a symlink or a directory. */
export type NarNode =
  | { kind: "regular"; contents: Buffer | string; executable?: boolean }
  | { kind: "symlink"; target: string }
  | { kind: "directory"; entries: readonly (readonly [name: string, node: NarNode])[] };

/** The NAR of a node. */
export function encodeNar(node: NarNode): Buffer {
  return Buffer.concat([encodeString("nix-archive-1"), encodeNode(node)]);
}

function encodeNode(node: NarNode): Buffer {
  const tokens = (...texts: (string | Buffer)[]): Buffer => Buffer.concat(texts.map(encodeString));
  switch (node.kind) {
    case "regular": {
      const mode = node.executable === true ? tokens("executable", "") : Buffer.alloc(0);
      return Buffer.concat([tokens("(", "type", "regular"), mode, tokens("contents", node.contents, ")")]);
    }
    case "symlink":
      return tokens("(", "type", "symlink", "target", node.target, ")");
    case "directory": {
      const entries = node.entries.map(([name, child]) =>
        Buffer.concat([tokens("entry", "(", "name", name, "node"), encodeNode(child), tokens(")")]),
      );
      return Buffer.concat([tokens("(", "type", "directory"), ...entries, tokens(")")]);
    }
  }
}
