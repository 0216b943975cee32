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

/**
 * Makes a resolve function. It rejects with the resolver's error, with code `timeout`, or with the signal's
 * reason. A question that still hangs in the resolver is not asked again but shared: each holds one of Node's
 * four worker threads, which reading files needs too.
 */
export function createResolver(
  lookup: SystemLookup = systemLookup,
  deadlineMs: number = RESOLVER_DEADLINE_MS,
): (name: string, signal: AbortSignal) => Promise<Endpoint[]> {
  const running = new Map<string, Promise<Endpoint[]>>();
  return (name, signal) => {
    let answer = running.get(name);
    if (answer === undefined) {
      answer = lookup(name, { all: true })
        .then((found) =>
          found.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }) as const),
        )
        .finally(() => running.delete(name));
      running.set(name, answer);
    }
    return unlessAborted(withDeadline(answer, deadlineMs, `resolving ${name}`), signal);
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
