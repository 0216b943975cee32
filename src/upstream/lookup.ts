// Lookups, all over one pipelined connection, which also holds a temporary GC root for every path it told of:
// otherwise the machine's garbage collector could take a path between its narinfo and its NAR. In time the next one
// takes over, and the old one goes with its roots when these have been held for long enough. The references of a path are
// looked up before they are asked for.

import type { Logger } from "pino";
import { addTempRoot, queryPathFromHashPart, queryPathInfo } from "../protocol/operations.js";
import type { PathInfo } from "../protocol/path-info.js";
import { isHashPart } from "../protocol/store-path.js";
import { TetherError, messageOf } from "../util/errors.js";
import { watchPatiently } from "../util/patience.js";
import { createAhead, type Ahead } from "./ahead.js";
import type { DaemonClient } from "./daemon-client.js";
import type { UpstreamLimits } from "./limits.js";

/** More roots than this are forgotten here (the daemon keeps them): a path may then be named twice. */
const maxRoots = 50_000;

/** Nothing is looked up early while so many requests wait: over a slow link it would keep others waiting. */
const mostPending = 200;

/** Early answers that are remembered; each is about a kilobyte. */
const mostAhead = 4_096;

/** The way to the nix-daemon, and what keeps the connection open. */
export interface LookupDeps {
  readonly open: () => Promise<DaemonClient>;
  readonly limits: UpstreamLimits;
  /**
   * When the last byte of a NAR or of a list arrived, on `performance.now()`'s clock: whether the link is alive when no answer
   * comes.
   */
  readonly lastByteAt: () => number;
  /** Whether the roots are needed although nobody asks: then the connection is not idle. */
  readonly needsRoots: () => boolean;
  readonly log: Logger;
}

/** Lookups over one connection, opened when it is needed. */
export interface Lookup {
  /** See `Upstream.queryByHashPart`. */
  queryByHashPart(hashPart: string, signal: AbortSignal): Promise<PathInfo | null>;
  close(): void;
}

interface Connection {
  readonly client: DaemonClient;
  readonly roots: Set<string>;
  /** Of paths that this connection holds. */
  readonly ahead: Ahead;
  /** On `performance.now()`'s clock. */
  readonly openedAt: number;
  /** When the last root was asked for, on `performance.now()`'s clock. */
  rootedAt: number;
  usedAt: number;
}

export function createLookup(deps: LookupDeps): Lookup {
  const { log, limits } = deps;
  let current: Connection | null = null;
  const open = new Set<DaemonClient>();
  let opening: Promise<Connection> | null = null;
  let closed = false;

  const connect = async (): Promise<Connection> => {
    const client = await deps.open();
    const now = performance.now();
    const ahead = createAhead({ most: mostAhead, freshMs: limits.aheadMs, now: () => performance.now() });
    const times = { openedAt: now, rootedAt: -Infinity, usedAt: now };
    const connection = { client, roots: new Set<string>(), ahead, ...times };
    open.add(client);
    if (closed) client.destroy();
    else current = connection;
    void client.closed.then((reason) => {
      open.delete(client);
      if (current === connection) current = null;
      log.debug({ reason: messageOf(reason) }, "lookup connection closed");
    });
    closeWhenIdle(connection, deps);
    return connection;
  };
  const acquire = (): Promise<Connection> => {
    const isFresh = current !== null && performance.now() - current.openedAt < limits.lookupLifeMs;
    if (current !== null && isFresh && current.client.failure === null) return Promise.resolve(current);
    opening ??= connect().finally(() => {
      opening = null;
    });
    return opening;
  };

  const query = async (hashPart: string, asked: Asked): Promise<PathInfo | null> => {
    const warm = current;
    const connection = await acquire();
    try {
      return await lookUp(connection, hashPart, asked, log);
    } catch (error) {
      // A connection that was opened before may have died unnoticed; a fresh one tells the truth.
      if (closed || connection !== warm || connection.client.failure !== error) throw error;
      if ((error as { code?: unknown }).code === "timeout") throw error;
      return await lookUp(await acquire(), hashPart, asked, log);
    }
  };

  return {
    queryByHashPart: (hashPart, signal) => {
      if (!isHashPart(hashPart)) return Promise.resolve(null);
      if (signal.aborted) return Promise.reject(signal.reason as Error);
      const asked: Asked = { client: null, answered: 0 };
      return bounded(query(hashPart, asked), deps, signal, (late) => {
        // Answers to others show that the daemon is merely slow.
        if (asked.client?.answered === asked.answered) asked.client.destroy(late);
      });
    },
    close: () => {
      closed = true;
      for (const client of open) client.destroy();
    },
  };
}

/** Whom a lookup asked, and how many answers that one had given by then. */
interface Asked {
  client: DaemonClient | null;
  answered: number;
}

async function lookUp(
  connection: Connection,
  hashPart: string,
  asked: Asked,
  log: Logger,
): Promise<PathInfo | null> {
  const { client, ahead } = connection;
  asked.client = client;
  asked.answered = client.answered;
  connection.usedAt = performance.now();
  const early = await ahead.take(hashPart);
  const path = early === null ? await client.ask(queryPathFromHashPart(hashPart)) : null;
  const info = path === null ? early : await lookUpPath(connection, path, log);
  if (info !== null) lookAhead(connection, info, log);
  return info;
}

function lookUpPath(connection: Connection, path: string, log: Logger): Promise<PathInfo | null> {
  const { client, roots } = connection;
  connection.rootedAt = performance.now();
  if (!roots.has(path)) {
    if (roots.size >= maxRoots) roots.clear();
    roots.add(path);
    // Before the question, so that what is found valid is also held.
    client.ask(addTempRoot(path)).catch((error: unknown) => {
      roots.delete(path);
      log.debug({ path, reason: messageOf(error) }, "no temporary root");
    });
  }
  return client.ask(queryPathInfo(path));
}

/** Those with a root were asked for already, early or not. */
function lookAhead(connection: Connection, info: PathInfo, log: Logger): void {
  const { client, roots, ahead } = connection;
  for (const path of info.references) {
    if (client.pending >= mostPending) return;
    if (!roots.has(path)) ahead.put(path, lookUpPath(connection, path, log));
  }
}

function closeWhenIdle(connection: Connection, { limits, needsRoots }: LookupDeps): void {
  const { client } = connection;
  const check = (): void => {
    const keepUntil = Math.max(connection.usedAt + limits.idleMs, connection.rootedAt + limits.rootMs);
    const left = client.pending > 0 || needsRoots() ? limits.idleMs : keepUntil - performance.now();
    if (left <= 0) return client.destroy();
    timer = setTimeout(check, left).unref();
  };
  let timer = setTimeout(check, limits.idleMs).unref();
  void client.closed.then(() => clearTimeout(timer));
}

/** `promise`, or a rejection with code `timeout` or the signal's reason. */
function bounded<T>(
  promise: Promise<T>,
  { limits, lastByteAt }: LookupDeps,
  signal: AbortSignal,
  onLate: (late: Error) => void,
): Promise<T> {
  const { lookupMs, quietMs, busyLookupMs } = limits;
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void): void => {
      stopWatch();
      signal.removeEventListener("abort", onAbort);
      settle();
    };
    const onAbort = (): void => finish(() => reject(signal.reason as Error));
    const stopWatch = watchPatiently(
      { ms: lookupMs, quietMs, mostMs: busyLookupMs },
      { now: () => performance.now(), lastSign: lastByteAt },
      (elapsed) => {
        const text = `the nix-daemon did not answer a lookup within ${Math.round(elapsed)} ms`;
        const late = new TetherError("timeout", text);
        finish(() => reject(late));
        onLate(late);
      },
    );
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(
      (value) => finish(() => resolve(value)),
      (error: unknown) => finish(() => reject(error as Error)),
    );
  });
}
