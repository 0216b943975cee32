// The system's resolver, with a deadline of our own: it can hang for many seconds and knows no cancelling.

import { lookup as systemLookup } from "node:dns/promises";

import type { Endpoint } from "../../link/link.js";
import { withDeadline } from "../../util/abort.js";

/** The part of `dns.promises.lookup` that is used. */
export type SystemLookup = (
  name: string,
  options: { readonly all: true },
) => Promise<readonly { readonly address: string; readonly family: number }[]>;

/** How long an answer is waited for. */
export const RESOLVER_DEADLINE_MS = 2000;

/** Each question holds one of Node's four worker threads, which reading files needs too. */
export const MAX_HANGING = 3;

/** See `createResolver`. */
export interface Resolver {
  /** Rejects with the resolver's error, with code `timeout`, or with the signal's reason. */
  resolve(name: string, signal: AbortSignal): Promise<Endpoint[]>;
  /** The network is another one: who hangs in the resolver waits for a name server of the old one. */
  networkChanged(): void;
}

/** A question that still hangs is not asked again in the same network, but shared. */
export function createResolver(
  lookup: SystemLookup = systemLookup,
  deadlineMs: number = RESOLVER_DEADLINE_MS,
): Resolver {
  const newest = new Map<string, { readonly answer: Promise<Endpoint[]>; readonly network: number }>();
  let hanging = 0;
  let network = 0;

  const ask = (name: string): Promise<Endpoint[]> => {
    hanging += 1;
    const answer = lookup(name, { all: true })
      .then((found) =>
        found.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }) as const),
      )
      .finally(() => {
        hanging -= 1;
        if (newest.get(name)?.answer === answer) newest.delete(name);
      });
    newest.set(name, { answer, network });
    return answer;
  };

  return {
    resolve: (name, signal) => {
      const asked = newest.get(name);
      const mayShare = asked !== undefined && (asked.network === network || hanging >= MAX_HANGING);
      const answer = mayShare ? asked.answer : ask(name);
      return unlessAborted(withDeadline(answer, deadlineMs, `resolving ${name}`), signal);
    },
    networkChanged: () => {
      network += 1;
    },
  };
}

async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  let onAbort: () => void = () => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(signal.reason as Error);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
