// What multicast has said in the last second: a responder does not repeat that (RFC 6762 section 6; avahi keeps silent for
// 500 ms), so a lookup that asks just then would hear nothing.

import type { HeardRecord } from "./records.js";

/** The records of one packet. */
export interface Packet {
  /** The interface on which it was heard. */
  readonly link: string;
  readonly records: readonly HeardRecord[];
  /** Milliseconds from any origin. */
  readonly at: number;
  /** Milliseconds since the epoch: a clock that does not stand still while the machine sleeps. */
  readonly wallAt: number;
}

/** See `createRecent`. */
export interface Recent {
  hear(packet: Packet): void;
  /** What is young enough at `wallNow`, oldest first. */
  packets(wallNow: number): readonly Packet[];
  /** Forgets what was heard on an interface. */
  forget(link: string): void;
}

export const RECENT_MS = 1000;

/** A second of a lively network; of a flood the oldest are forgotten. */
const MAX_PACKETS = 64;

export function createRecent(): Recent {
  let heard: readonly Packet[] = [];
  const youngAt = (wallNow: number): readonly Packet[] =>
    heard.filter(({ wallAt }) => Math.abs(wallNow - wallAt) <= RECENT_MS);
  return {
    hear: (packet) => {
      heard = [...youngAt(packet.wallAt), packet].slice(-MAX_PACKETS);
    },
    packets: youngAt,
    forget: (link) => {
      heard = heard.filter((packet) => packet.link !== link);
    },
  };
}
