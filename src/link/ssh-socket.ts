// A TCP connection that is read and written as suits SSH, whose packets have 32 KiB at most and are handed to it one by one: with
// fewer and larger system calls than Node makes by itself.

import { connect, type OnReadOpts, type Socket } from "node:net";
import { gather } from "../util/gather.js";

/**
 * Node reads 64 KiB at once, in which there are one or two whole packets; those that come in two parts are copied. Any packet that
 * waits for its reader keeps all that was read with it in memory: so no more than this.
 */
const READ_BYTES = 128 * 1024;
const MIN_READ_BYTES = 64 * 1024;
/** Packets of this length come in numbers; for a smaller one, a question, waiting for others costs more than it saves. */
const LARGE_BYTES = 16 * 1024;

/** Begins to connect to an address, which is final, no name. */
export function connectForSsh(host: string, port: number): Socket {
  const onread = readWidely((chunk) => socket.push(chunk));
  // Nagle's algorithm makes a ping-pong protocol wait 40 ms per round trip.
  const socket: Socket = connect({ host, port, noDelay: true, autoSelectFamily: false, onread });
  const write = socket.write.bind(socket) as (packet: unknown, ...rest: unknown[]) => boolean;
  socket.write = (packet: unknown, ...rest: unknown[]): boolean => {
    if (packet instanceof Uint8Array && packet.length >= LARGE_BYTES) gather(socket);
    return write(packet, ...rest);
  };
  return socket;
}

/** `take` says whether it wants more now. */
function readWidely(take: (chunk: Buffer) => boolean): OnReadOpts {
  // What was given out is never written to again: parts of it may be on their way to Nix for long.
  let slab = Buffer.alloc(0);
  let used = 0;
  return {
    buffer: () => {
      if (slab.length - used < MIN_READ_BYTES) {
        slab = Buffer.allocUnsafeSlow(READ_BYTES);
        used = 0;
      }
      return slab.subarray(used);
    },
    callback: (bytes) => {
      const chunk = slab.subarray(used, used + bytes);
      used += bytes;
      return take(chunk);
    },
  };
}
