// Asks which of many paths are there, over a connection of its own: on that of the lookups Nix would have to wait for
// it, and kept open it would cost the machine a nix-daemon process for nothing.

import { isOrderly, type DaemonClient } from "./daemon-client.js";
import { queryPathFromHashPart } from "../protocol/operations.js";
import { isHashPart } from "../protocol/store-path.js";
import { TetherError } from "../util/errors.js";

/** Questions under way at once: few round trips, and an early end when something is there. */
const pipelined = 500;

/** Asks which paths are there. */
export interface Presence {
  /** See `Upstream.findPresent`. */
  findPresent(hashParts: readonly string[], signal: AbortSignal): Promise<string[]>;
  close(): void;
}

export function createPresence(open: (signal: AbortSignal) => Promise<DaemonClient>): Presence {
  const closing = new AbortController();
  return {
    findPresent: async (hashParts, given) => {
      const signal = AbortSignal.any([closing.signal, given]);
      const client = await open(signal);
      const onAbort = (): void => client.destroy(signal.reason as Error);
      signal.addEventListener("abort", onAbort, { once: true });
      if (signal.aborted) onAbort();
      try {
        for (let from = 0; from < hashParts.length; from += pipelined) {
          const present = await presentOf(client, hashParts.slice(from, from + pipelined));
          if (present.length > 0) return present;
        }
        return [];
      } finally {
        signal.removeEventListener("abort", onAbort);
        client.destroy();
      }
    },
    close: () => closing.abort(new TetherError("closed", "the cache was closed")),
  };
}

async function presentOf(client: DaemonClient, hashParts: readonly string[]): Promise<string[]> {
  const isPresent = async (hashPart: string): Promise<boolean> => {
    if (!isHashPart(hashPart)) return false;
    try {
      return (await client.ask(queryPathFromHashPart(hashPart))) !== null;
    } catch (error) {
      // Of this path nothing can be said; the others may still be asked for.
      if (isOrderly(error)) return false;
      throw error;
    }
  };
  const answers = await Promise.all(hashParts.map(isPresent));
  return hashParts.filter((_, i) => answers[i] === true);
}
