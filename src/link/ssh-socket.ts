// A TCP connection that is written as suits SSH, whose packets have 32 KiB at most and are handed to it one by one: with fewer and
// larger system calls than Node makes by itself.

import { connect, type Socket } from "node:net";
import { gather } from "../util/gather.js";

/** Packets of this length come in numbers; for a smaller one, a question, waiting for others costs more than it saves. */
const LARGE_BYTES = 16 * 1024;

/** Begins to connect to an address, which is final, no name. */
export function connectForSsh(host: string, port: number): Socket {
  // Nagle's algorithm makes a ping-pong protocol wait 40 ms per round trip.
  const socket = connect({ host, port, noDelay: true, autoSelectFamily: false });
  const write = socket.write.bind(socket) as (packet: unknown, ...rest: unknown[]) => boolean;
  socket.write = (packet: unknown, ...rest: unknown[]): boolean => {
    if (packet instanceof Uint8Array && packet.length >= LARGE_BYTES) gather(socket);
    return write(packet, ...rest);
  };
  return socket;
}
