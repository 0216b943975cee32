// Who is at the other end of a loopback connection, which tells a socket of this machine and nothing else.

import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";

import { delay } from "../util/abort.js";
import { TetherError } from "../util/errors.js";
import { established, parseTcpTable, tableAddresses, type TcpRow } from "./proc-net-tcp.js";

/** The table is read while it changes, so that a row can be missed; it is there the next time. */
const tries = 3;
const retryMs = 5;

/** In the order of their likelihood. */
const tables = ["/proc/net/tcp", "/proc/net/tcp6"];

/**
 * The uid of the peer of an accepted connection, by the kernel's tables. Rejects with code `peer-unknown` when its socket is
 * not in them: it is closed already, or this is no Linux. Only an ESTABLISHED row counts, because a socket that was closed by
 * its owner is shown as root's.
 */
export type PeerLookup = (socket: Socket) => Promise<number>;

/**
 * Connections that come at once share a reading of the tables: where a machine has many sockets one takes a while, and four
 * Nix commands open a hundred connections.
 */
export function createPeerLookup(
  read: (table: string) => Promise<string> = (table) => readFile(table, "latin1"),
): PeerLookup {
  const readers = tables.map((table) =>
    shared(async () => parseTcpTable(await read(table).catch(() => "")).filter(isEstablished)),
  );
  const peerUid = async (socket: Socket): Promise<number | null> => {
    for (const rows of readers) {
      const row = (await rows()).find(isPeerOf(socket));
      if (row !== undefined) return row.uid;
    }
    return null;
  };
  return async (socket) => {
    for (let attempt = 1; ; attempt += 1) {
      const uid = await peerUid(socket);
      if (uid !== null) return uid;
      if (attempt === tries || socket.destroyed) break;
      await delay(retryMs);
    }
    throw new TetherError("peer-unknown", "the kernel's tables do not name the owner of a connection");
  };
}

/** One run of `work` at a time, for all who asked before it began. */
function shared<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<unknown> = Promise.resolve();
  let next: Promise<T> | null = null;
  const begin = async (): Promise<T> => {
    await running;
    next = null;
    const result = work();
    running = result.catch(() => undefined);
    return result;
  };
  return () => (next ??= begin());
}

function isEstablished({ state }: TcpRow): boolean {
  return state === established;
}

/** In the peer's own row, its address is the local one. */
function isPeerOf(socket: Socket): (row: TcpRow) => boolean {
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  if (remoteAddress === undefined || localAddress === undefined) return () => false;
  const theirs = tableAddresses(remoteAddress);
  const ours = tableAddresses(localAddress);
  return (row) =>
    row.localPort === remotePort &&
    row.remotePort === localPort &&
    theirs.includes(row.localAddress) &&
    ours.includes(row.remoteAddress);
}
