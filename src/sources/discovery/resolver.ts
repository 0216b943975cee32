// The system's resolver, with a deadline of our own: it can hang for many seconds and knows no cancelling.

import { lookup as systemLookup } from "node:dns/promises";
import { statSync } from "node:fs";

import type { Endpoint } from "../../link/link.js";
import { withDeadline } from "../../util/abort.js";
import { TetherError } from "../../util/errors.js";

/** The part of `dns.promises.lookup` that is used. */
export type SystemLookup = (
  name: string,
  options: { readonly all: true },
) => Promise<readonly { readonly address: string; readonly family: number }[]>;

/** How long an answer is waited for. */
const RESOLVER_DEADLINE_MS = 2000;

/** While a question hangs, how often to see whether it was asked of the right name servers. */
const RECHECK_MS = 250;

/** Each question holds one of Node's four worker threads, which reading files needs too. */
export const MAX_HANGING = 3;

/** See `createResolver`. */
export interface Resolver {
  /** Rejects with the resolver's error, with code `timeout`, or with the signal's reason. */
  resolve(name: string, signal: AbortSignal): Promise<Endpoint[]>;
  /** The network is another one: who hangs in the resolver waits for a name server of the old one. */
  networkChanged(): void;
}

/** What the resolver's answers depend on, besides the network. */
interface ResolverDeps {
  readonly lookup: SystemLookup;
  /** How long an answer is waited for, in milliseconds. */
  readonly deadlineMs: number;
  /** Changes when other name servers are to be asked. */
  readonly servers: () => string;
}

const defaultDeps: ResolverDeps = {
  lookup: systemLookup,
  deadlineMs: RESOLVER_DEADLINE_MS,
  servers: changeOfResolvConf,
};

function changeOfResolvConf(): string {
  try {
    return String(statSync("/etc/resolv.conf").mtimeMs);
  } catch {
    return "none";
  }
}

/** A question that still hangs is not asked again of the same name servers, but shared. */
export function createResolver(deps: Partial<ResolverDeps> = {}): Resolver {
  const { lookup, deadlineMs, servers } = { ...defaultDeps, ...deps };
  const newest = new Map<string, Question>();
  let hanging = 0;
  let network = 0;

  const now = (): string => `${network} ${servers()}`;
  const ask = (name: string): Question => {
    hanging += 1;
    const answer = lookup(name, { all: true }).then((found) =>
      found.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }) as const),
    );
    const question = { answer, of: now() };
    newest.set(name, question);
    const onEnd = (): void => {
      hanging -= 1;
      if (newest.get(name) === question) newest.delete(name);
    };
    answer.then(onEnd, onEnd);
    return question;
  };
  const newestOf = (name: string): Question => {
    const asked = newest.get(name);
    return asked !== undefined && (asked.of === now() || hanging >= MAX_HANGING) ? asked : ask(name);
  };

  /** The name servers are often told a moment after the addresses, so a question may be old before it is answered. */
  const resolve = async (name: string): Promise<Endpoint[]> => {
    const started = performance.now();
    for (;;) {
      const { answer, of } = newestOf(name);
      const left = deadlineMs - (performance.now() - started);
      try {
        return await withDeadline(answer, Math.min(left, RECHECK_MS), `resolving ${name}`);
      } catch (error) {
        const isOver = performance.now() - started >= deadlineMs;
        const mayChange = of !== now() || (error instanceof TetherError && error.code === "timeout");
        if (isOver || !mayChange) throw error;
      }
    }
  };

  return {
    resolve: (name, signal) => unlessAborted(resolve(name), signal),
    networkChanged: () => {
      network += 1;
    },
  };
}

interface Question {
  readonly answer: Promise<Endpoint[]>;
  /** Of which network and name servers it was asked. */
  readonly of: string;
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
