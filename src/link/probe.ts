// Asks a link that stands whether the far nix-daemon still answers, with patience for one that is merely busy.

import type { Duplex } from "node:stream";
import { delay } from "../util/abort.js";
import type { Handshake } from "./transport.js";

/** What a probe needs of the link. */
export interface ProbeDeps {
  readonly openDaemon: () => Promise<Duplex>;
  readonly handshake: Handshake;
  /** Bytes received on the connection so far. */
  readonly bytesRead: () => number;
}

// A NAR that fills the link delays the answer, and cutting it would be worse than waiting: three times the time
// while this much arrives in each. sshd's answers to keepalives are far less.
const BUSY_PERIODS = 3;
const BUSY_BYTES = 64 * 1024;

/** Whether a new handshake succeeds within `ms` milliseconds, or three times that on a busy link. Never rejects. */
export async function probe(deps: ProbeDeps, ms: number): Promise<boolean> {
  const stop = new AbortController();
  const opening = deps.openDaemon();
  const answer = opening
    .then((stream) => deps.handshake(stream, ms * BUSY_PERIODS))
    .then(
      () => true,
      () => false,
    );
  try {
    for (let period = 1; ; period += 1) {
      const before = deps.bytesRead();
      const silent = delay(ms, stop.signal).then(
        () => null,
        () => null,
      );
      const alive = await Promise.race([answer, silent]);
      if (alive !== null) return alive;
      if (period === BUSY_PERIODS || deps.bytesRead() - before < BUSY_BYTES) return false;
    }
  } finally {
    stop.abort();
    opening.then(
      (stream) => stream.destroy(),
      () => undefined,
    );
  }
}
