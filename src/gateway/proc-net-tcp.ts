// Linux's table of TCP sockets (proc(5), /proc/net/tcp and tcp6): whose a connection is, and who holds a port.

import os from "node:os";

/** One socket of the table. Addresses are as the table has them: hexadecimal words in the host's byte order. */
export interface TcpRow {
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** 1 is ESTABLISHED, 10 is LISTEN. */
  readonly state: number;
  /** Owner; meaningless (0) once the owner has closed the socket, which then is in no state told above. */
  readonly uid: number;
  readonly inode: string;
}

export const established = 1;
export const listening = 10;

/** The rows of a table; what does not look like one is left out. */
export function parseTcpTable(text: string): TcpRow[] {
  const row =
    /^\s*\d+: ([0-9A-F]{8,32}):([0-9A-F]{4}) ([0-9A-F]{8,32}):([0-9A-F]{4}) ([0-9A-F]{2}) \S+ \S+ \S+\s+(\d+)\s+\d+ (\d+)/gm;
  return [...text.matchAll(row)].map((match) => {
    const [, localAddress = "", localPort = "", remoteAddress = "", remotePort = ""] = match;
    const [state = "", uid = "", inode = ""] = match.slice(5);
    return {
      localAddress,
      localPort: Number.parseInt(localPort, 16),
      remoteAddress,
      remotePort: Number.parseInt(remotePort, 16),
      state: Number.parseInt(state, 16),
      uid: Number(uid),
      inode,
    };
  });
}

/** The forms a table may give an IPv4 address in: its own, and the one of a socket that speaks IPv4 over IPv6. */
export function tableAddresses(ipv4: string, endianness: "BE" | "LE" = os.endianness()): string[] {
  const bytes = Buffer.from(
    ipv4
      .replace(/^::ffff:/i, "")
      .split(".")
      .map(Number),
  );
  const mark = Buffer.from([0, 0, 0xff, 0xff]);
  const word = (buffer: Buffer): string =>
    Buffer.from(endianness === "LE" ? buffer.toReversed() : buffer)
      .toString("hex")
      .toUpperCase();
  const own = word(bytes);
  return [own, `${"0".repeat(16)}${word(mark)}${own}`];
}
