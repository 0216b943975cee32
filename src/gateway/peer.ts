// Who is at the other end of a loopback connection: the gateway works for root (the nix-daemon) and its own user only.

import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";

import { delay } from "../util/abort.js";
import { TetherError } from "../util/errors.js";
import { established, parseTcpTable, tableAddresses } from "./proc-net-tcp.js";

/** The table is read while it changes, so that a row can be missed; it is there the next time. */
const tries = 3;
const retryMs = 5;

/**
 * Whether the peer of an accepted connection is one of `uids`, by the kernel's tables. Rejects with code
 * `peer-unknown` when its socket is not in them: it is closed already, or this is no Linux. Only an
 * ESTABLISHED row counts, because a socket that was closed by its owner is shown as root's.
 */
export function createPeerCheck(uids: readonly number[]): (socket: Socket) => Promise<boolean> {
  return async (socket) => {
    for (let attempt = 1; ; attempt += 1) {
      const uid = await peerUid(socket);
      if (uid !== null) return uids.includes(uid);
      if (attempt === tries || socket.destroyed) break;
      await delay(retryMs);
    }
    throw new TetherError("peer-unknown", "the kernel's tables do not name the owner of a connection");
  };
}

/** Root's uid and that of the user this process runs as. */
export function ownUids(): number[] {
  return [0, process.geteuid?.() ?? 0];
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
