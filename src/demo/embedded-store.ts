// The far machine's store where there is no Nix to keep one: a few paths in memory, and the daemon's side of
// the worker protocol as far as a cache is asked.

import { createHash } from "node:crypto";
import type { Duplex } from "node:stream";
import { encodePathInfo, opcode } from "../protocol/operations.js";
import { encodeNix32, nix32FromHex } from "../protocol/nix32.js";
import { WireReader } from "../protocol/reader.js";
import { serverHandshake } from "../protocol/handshake.js";
import { encodeError, stderrFrame } from "../protocol/stderr.js";
import { parseStorePath, storeDir } from "../protocol/store-path.js";
import { atLeast } from "../protocol/version.js";
import { encodeString, encodeStringList, encodeU64 } from "../protocol/writer.js";
import type { PathInfo } from "../protocol/path-info.js";
import { contents, type DemoStore, picture } from "./demo-store.js";
import { encodeNar, type Tree } from "./nar.js";
import { newSigningKey } from "./signing.js";

interface Entry {
  readonly info: PathInfo;
  readonly nar: Buffer;
}

const maxPath = 1024;
const maxPaths = { count: 1024, length: maxPath };

/** A store with the demo's contents, signed by a fresh key. Its paths are the ones Nix would give them. */
export function makeEmbeddedStore(): DemoStore {
  const key = newSigningKey("nix-tether-demo-1");
  const entries = new Map<string, Entry>();
  const add = (path: string, tree: Tree, references: string[], ca: string): string => {
    const nar = encodeNar(tree);
    const plain = { path, narHash: sha256(nar), narSize: nar.length, references };
    entries.set(path, { nar, info: { ...plain, deriver: null, signatures: [key.sign(plain)], ca } });
    return path;
  };
  const addSource = (name: string, tree: Tree): string => {
    const hash = sha256(encodeNar(tree));
    return add(storePath("source", hash, name), tree, [], `fixed:r:sha256:${nix32FromHex(hash)}`);
  };
  const addText = (name: string, text: string, references: string[]): string => {
    const hash = sha256(Buffer.from(text));
    const type = ["text", ...references].join(":");
    const ca = `text:sha256:${nix32FromHex(hash)}`;
    return add(storePath(type, hash, name), Buffer.from(text), references, ca);
  };

  const pictures = Array.from({ length: contents.pictures }, (_, index) => [`${index}.raw`, picture(index)]);
  const album = addSource("album", Object.fromEntries(pictures) as Tree);
  const streams = new Set<Duplex>();
  return {
    label: "a small embedded store",
    album,
    letter: addText("letter.txt", contents.letter(album), [album]),
    postcard: addSource("postcard.txt", Buffer.from(contents.postcard)),
    publicKey: key.publicKey,
    serve: (stream) => {
      streams.add(stream);
      stream.once("close", () => streams.delete(stream));
      converse(stream, entries).catch(() => stream.destroy());
    },
    close: async () => {
      for (const stream of streams) stream.destroy();
    },
  };
}

async function converse(stream: Duplex, entries: ReadonlyMap<string, Entry>): Promise<void> {
  const reader = new WireReader(stream);
  const write = (bytes: Buffer): void => {
    stream.write(bytes);
  };
  const reply = (...parts: Buffer[]): void => write(Buffer.concat([encodeU64(stderrFrame.last), ...parts]));
  const { protocol } = await serverHandshake(reader, write, { nixVersion: "2.0.0 (nix-tether demo)" });
  for (;;) {
    const operation = await reader.u64();
    switch (operation) {
      case opcode.isValidPath:
        reply(encodeU64(entries.has(await reader.string(maxPath)) ? 1 : 0));
        break;
      case opcode.addTempRoot:
        await reader.string(maxPath);
        reply(encodeU64(1));
        break;
      case opcode.queryAllValidPaths:
        reply(encodeStringList([...entries.keys()]));
        break;
      case opcode.queryPathInfo:
        reply(encodePathInfo(entries.get(await reader.string(maxPath))?.info ?? null));
        break;
      case opcode.queryPathFromHashPart: {
        const hashPart = await reader.string(maxPath);
        const found = [...entries.keys()].find((path) => parseStorePath(path)?.hashPart === hashPart);
        reply(encodeString(found ?? ""));
        break;
      }
      case opcode.queryValidPaths: {
        const asked = await reader.stringList(maxPaths);
        if (atLeast(protocol, 27)) await reader.u64();
        reply(encodeStringList(asked.filter((path) => entries.has(path))));
        break;
      }
      case opcode.narFromPath: {
        const path = await reader.string(maxPath);
        const entry = entries.get(path);
        // As the real daemon does: the error comes where the NAR should begin.
        reply(entry?.nar ?? encodeError(protocol, `path '${path}' is not valid`));
        break;
      }
      default:
        write(encodeError(protocol, `operation ${operation} is not part of this demo`));
        stream.end();
        return;
    }
  }
}

/** A store path as Nix makes it: the SHA-256 of what the path stands for, folded to 160 bits. */
function storePath(type: string, hash: string, name: string): string {
  const digest = createHash("sha256").update(`${type}:sha256:${hash}:${storeDir}:${name}`).digest();
  const folded = Buffer.alloc(20);
  for (const [index, byte] of digest.entries()) folded[index % 20] = (folded[index % 20] ?? 0) ^ byte;
  return `${storeDir}/${encodeNix32(folded)}-${name}`;
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
