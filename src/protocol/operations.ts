// The operations of the worker protocol that a cache needs: how each is asked, and how its answer is read.

import { setImmediate as othersTurn } from "node:timers/promises";
import { ProtocolError } from "./errors.js";
import type { PathInfo } from "./path-info.js";
import type { ListBounds, WireReader } from "./reader.js";
import { isStorePath, parseStorePath } from "./store-path.js";
import { atLeast } from "./version.js";
import { encodeString, encodeStringList, encodeU64 } from "./writer.js";

/** The word that begins a request. */
export const opcode = {
  isValidPath: 1,
  addTempRoot: 11,
  queryAllValidPaths: 23,
  queryPathInfo: 26,
  queryPathFromHashPart: 29,
  queryValidPaths: 31,
  narFromPath: 38,
} as const;

/**
 * One operation. `readReply` reads what follows STDERR_LAST; it throws `bad-value` only after reading all of it,
 * so that the conversation can go on.
 */
export interface Operation<T> {
  request(protocol: number): Buffer;
  readReply(reader: WireReader, protocol: number): Promise<T>;
}

/** Nix allows 255 bytes for a store path. */
const pathLength = 1024;
const references: ListBounds = { count: 100_000, length: pathLength };
const signatures: ListBounds = { count: 256, length: 1024 };
/** Some 80 bytes each: a store of this size would be an answer of 400 MB. */
const everyPath: ListBounds = { count: 5_000_000, length: pathLength };

/** Some 2 ms on a slow core. */
const pathsInOneGo = 500;

/** Whether the path is valid. */
export function isValidPath(path: string): Operation<boolean> {
  return {
    request: () => asking(opcode.isValidPath, encodeString(path)),
    readReply: async (reader) => (await reader.u64()) !== 0,
  };
}

/** Keeps the path from being collected while the connection lives. The path need not be valid. */
export function addTempRoot(path: string): Operation<void> {
  return {
    request: () => asking(opcode.addTempRoot, encodeString(path)),
    readReply: async (reader) => void (await reader.bytes(8)),
  };
}

/** Every path in the store. */
export function queryAllValidPaths(): Operation<string[]> {
  return {
    request: () => asking(opcode.queryAllValidPaths),
    readReply: (reader) => reader.stringList(everyPath),
  };
}

/**
 * Every path in the store as it arrives, for who does not want them all at once: `begin` is told how many there are, and may
 * throw. What it returns is told each path.
 */
export function eachValidPath(begin: (count: number) => (path: Buffer) => void): Operation<void> {
  return {
    request: () => asking(opcode.queryAllValidPaths),
    readReply: async (reader) => {
      const count = await reader.u64();
      const tell = begin(count);
      for (let i = 1; i <= count; i += 1) {
        tell(await reader.stringBytes(pathLength));
        // What has arrived would be read in one go, megabytes of it.
        if (i % pathsInOneGo === 0) await othersTurn();
      }
    },
  };
}

/**
 * Those of the paths that are valid. `substitute`: after the daemon has fetched from its own substituters what these have;
 * below 1.27 it never does.
 */
export function queryValidPaths(paths: readonly string[], substitute = false): Operation<string[]> {
  return {
    request: (protocol) => {
      const flag = atLeast(protocol, 27) ? encodeU64(substitute ? 1 : 0) : Buffer.alloc(0);
      return asking(opcode.queryValidPaths, encodeStringList(paths), flag);
    },
    readReply: (reader) => reader.stringList({ count: paths.length, length: pathLength }),
  };
}

/** The path with this hash part, or null. */
export function queryPathFromHashPart(hashPart: string): Operation<string | null> {
  return {
    request: () => asking(opcode.queryPathFromHashPart, encodeString(hashPart)),
    readReply: async (reader) => {
      const path = await reader.string(pathLength);
      if (path === "") return null;
      if (parseStorePath(path)?.hashPart !== hashPart) {
        throw new ProtocolError("bad-value", `asked for ${hashPart}, the nix-daemon names another path`);
      }
      return path;
    },
  };
}

/** What the store knows of the path, or null when it is not valid. */
export function queryPathInfo(path: string): Operation<PathInfo | null> {
  return {
    request: () => asking(opcode.queryPathInfo, encodeString(path)),
    readReply: async (reader) => {
      if ((await reader.u64()) === 0) return null;
      const deriver = await reader.string(pathLength);
      const narHash = await reader.string(256);
      const refs = await reader.stringList(references);
      await reader.bytes(8); // registration time
      const narSize = await reader.u64();
      await reader.bytes(8); // ultimate
      const sigs = await reader.stringList(signatures);
      const ca = await reader.string(1024);
      const none = (text: string): string | null => (text === "" ? null : text);
      return checked({
        path,
        narHash,
        narSize,
        references: refs,
        deriver: none(deriver),
        signatures: sigs,
        ca: none(ca),
      });
    },
  };
}

/** The request for a path's NAR. Its answer has no length of its own: see nar.ts. */
export function encodeNarFromPath(path: string): Buffer {
  return asking(opcode.narFromPath, encodeString(path));
}

/** The answer to QueryPathInfo, as a daemon writes it after STDERR_LAST. */
export function encodePathInfo(info: PathInfo | null): Buffer {
  if (info === null) return encodeU64(0);
  return Buffer.concat([
    encodeU64(1),
    encodeString(info.deriver ?? ""),
    encodeString(info.narHash),
    encodeStringList(info.references),
    encodeU64(0),
    encodeU64(info.narSize),
    encodeU64(0),
    encodeStringList(info.signatures),
    encodeString(info.ca ?? ""),
  ]);
}

function asking(operation: number, ...fields: readonly Buffer[]): Buffer {
  return Buffer.concat([encodeU64(operation), ...fields]);
}

/** These fields become lines of a narinfo: nothing may pass that could begin another line. */
function checked(info: PathInfo): PathInfo {
  const wrong = (what: string): ProtocolError =>
    new ProtocolError("bad-value", `the nix-daemon gives ${info.path} ${what}`);
  if (!/^[0-9a-f]{64}$/.test(info.narHash)) throw wrong("a NAR hash that is not SHA-256");
  if (!info.references.every(isStorePath)) throw wrong("a reference that is no store path");
  if (info.deriver !== null && !isStorePath(info.deriver)) throw wrong("a deriver that is no store path");
  if (!info.signatures.every((one) => /^[^\s:]+:[A-Za-z0-9+/=]+$/.test(one)))
    throw wrong("a malformed signature");
  if (info.ca !== null && !/^[\x21-\x7e]+$/.test(info.ca)) throw wrong("a malformed content address");
  return info;
}
