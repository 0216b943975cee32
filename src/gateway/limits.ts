// The gateway's bounds. Every wait and every memory of it has one; tests make them small.

import type { Patience } from "../util/patience.js";

/** Times in milliseconds. */
export interface GatewayLimits {
  /** A lookup is answered within this time, whatever the upstream does (its own deadline is 1.5 s). */
  readonly lookupMs: number;
  /** The same bound while bytes of the cache's NARs do arrive: a busy link is not a dead one. */
  readonly busyLookupMs: number;
  /** A link from which no byte has come for this time is not busy. */
  readonly quietMs: number;
  /**
   * Wait for a NAR's first byte, counted anew while other NARs of the cache advance: it may be queued. Longer than
   * the upstream's own wait.
   */
  readonly narFirstByteMs: number;
  /** A NAR without a new byte for this time is given up. Longer than the upstream's own watchdog. */
  readonly narStallMs: number;
  /**
   * How long a NAR that was cut, and a request while the cache is briefly away, waits for the machine's return;
   * 0 never. Counted from the loss, or from the gateway's start.
   */
  readonly resumeMs: number;
  /**
   * How long a lookup waits for that at most, counted in the same way. Nix asks in many rounds, each for what the one
   * before named, so that a wait of every one would add up.
   */
  readonly lookupReturnMs: number;
  /** A NAR that breaks so many times without a new byte in between is given up, although the cache is there. */
  readonly narTries: number;
  /**
   * A client that takes nothing for this time frees the upstream where others wait for it or little has been sent, and
   * goes on as after a cut when it takes again. Until
   * then each of the 16 NARs over SSH holds up to 9 MB, in buffers of twice what is in them: the channel's window (see
   * link/channel-window.ts), and what is read ahead.
   */
  readonly clientIdleMs: number;
  /** So much of a NAR may be sent again for such a client. */
  readonly repeatableBytes: number;
  /** A client that takes nothing for this time loses its connection. */
  readonly clientStallMs: number;
  /** A NAR that broke is answered 404 for this time, so that Nix's retries end and it goes elsewhere. */
  readonly tombstoneMs: number;
  /** How long after the upstream was lost known paths are still told from memory. */
  readonly absenceMs: number;
  /** A narinfo younger than this is believed when its NAR is asked for, without asking again. */
  readonly freshMs: number;
  /** Narinfos remembered per cache. */
  readonly memoryEntries: number;
  /** Answers remembered per cache, 64 bytes each, for whoever asks why. */
  readonly recentAnswers: number;
  /** Open client connections, some 50 KB each; Nix uses up to 25 per running command, and complains where one is refused. */
  readonly maxConnections: number;
  /** An idle client connection is kept this long. */
  readonly keepAliveMs: number;
  /**
   * Time to learn who the peer of a new connection is. Nix takes it for "not here" when that is over, so it is long: 1,600
   * connections at once take a fifth of a core ten seconds.
   */
  readonly peerCheckMs: number;
}

export const defaultLimits: GatewayLimits = {
  lookupMs: 1_900,
  busyLookupMs: 6_000,
  quietMs: 500,
  narFirstByteMs: 35_000,
  narStallMs: 10_000,
  resumeMs: 20_000,
  lookupReturnMs: 4_000,
  narTries: 8,
  clientIdleMs: 5_000,
  repeatableBytes: 16 * 1024 * 1024,
  clientStallMs: 120_000,
  tombstoneMs: 30_000,
  absenceMs: 60_000,
  freshMs: 60_000,
  memoryEntries: 20_000,
  recentAnswers: 16_384,
  maxConnections: 2_048,
  keepAliveMs: 15_000,
  peerCheckMs: 20_000,
};

/** How long a lookup is waited for, of which `ms` milliseconds are left. */
export function lookupPatience(limits: GatewayLimits, ms = limits.lookupMs): Patience {
  return { ms, quietMs: limits.quietMs, mostMs: limits.busyLookupMs };
}
