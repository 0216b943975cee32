// How long this machine waits for a remote nix-daemon, and how much it asks of it at once.

/** All times in milliseconds. */
export interface UpstreamLimits {
  /** `openDaemon` and the handshake together. */
  readonly openMs: number;
  /** A lookup, opening a connection included; Nix waits for it. */
  readonly lookupMs: number;
  /** The same while NARs, or a list, do arrive: then the link is busy, not stuck. */
  readonly busyLookupMs: number;
  /** A link from which no byte has come for this time is not busy. */
  readonly quietMs: number;
  /** No byte of a NAR although its reader is willing. */
  readonly stallMs: number;
  /** NARs at once. Nix asks for up to 25; each costs the machine a nix-daemon process. */
  readonly narConnections: number;
  /** A NAR that waits for its turn, while none of those under way gets a byte. */
  readonly turnMs: number;
  /** An unused connection is kept this long, for the next lookup or NAR. */
  readonly idleMs: number;
  /** The lookup connection holds its temporary GC roots this long after the last one was asked for. */
  readonly rootMs: number;
  /** A lookup connection is asked for this long, then another: where questions never cease, roots would never go. */
  readonly lookupLifeMs: number;
  /** What was looked up before it was asked for is told for this long. */
  readonly aheadMs: number;
  /** A NAR up to this many bytes is checked whole before the first byte is passed on. */
  readonly wholeNarBytes: number;
  /** From this byte on it is worth a command on the machine to begin a NAR in its middle. */
  readonly tailBytes: number;
}

export const defaultLimits: UpstreamLimits = {
  openMs: 3_000,
  lookupMs: 1_500,
  busyLookupMs: 6_000,
  quietMs: 500,
  stallMs: 3_000,
  narConnections: 16,
  turnMs: 30_000,
  idleMs: 20_000,
  rootMs: 25_000,
  lookupLifeMs: 60_000,
  aheadMs: 10_000,
  wholeNarBytes: 64 * 1024,
  tailBytes: 1024 * 1024,
};
