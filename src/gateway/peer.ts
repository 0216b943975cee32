// Who is at the other end of a loopback connection, which tells a socket of this machine and nothing else.

import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";

import { delay } from "../util/abort.js";
import { TetherError } from "../util/errors.js";
import { established, parseTcpTable, tableAddresses } from "./proc-net-tcp.js";

/** The table is read while it changes, so that a row can be missed; it is there the next time. */
const tries = 3;
const retryMs = 5;

/**
 * The uid of the peer of an accepted connection, by the kernel's tables. Rejects with code `peer-unknown` when its socket is
 * not in them: it is closed already, or this is no Linux. Only an ESTABLISHED row counts, because a socket that was closed by
 * its owner is shown as root's.
 */
export async function lookUpPeer(socket: Socket): Promise<number> {
  for (let attempt = 1; ; attempt += 1) {
    const uid = await peerUid(socket);
    if (uid !== null) return uid;
    if (attempt === tries || socket.destroyed) break;
    await delay(retryMs);
  }
  throw new TetherError("peer-unknown", "the kernel's tables do not name the owner of a connection");
}

async function peerUid(socket: Socket): Promise<number | null> {
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  if (remoteAddress === undefined || localAddress === undefined) return null;
  const theirs = tableAddresses(remoteAddress);
  const ours = tableAddresses(localAddress);
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    const text = await readFile(table, "latin1").catch(() => "");
    // In the peer's own row, its address is the local one.
    const row = parseTcpTable(text).find(
      (candidate) =>
        candidate.state === established &&
        candidate.localPort === remotePort &&
        candidate.remotePort === localPort &&
        theirs.includes(candidate.localAddress) &&
        ours.includes(candidate.remoteAddress),
    );
    if (row !== undefined) return row.uid;
  }
  return null;
}
