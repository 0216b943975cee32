// Connections that nobody uses, kept for a while. Who needs one while none is spare has one opened, but takes what another
// gives back before that: an opened one takes round trips, and connections are opened one after another.

import type { DaemonClient } from "./daemon-client.js";

/** A connection, and whether it was opened just now: one that was not may have died unnoticed. */
export interface Taken {
  readonly client: DaemonClient;
  readonly fresh: boolean;
}

export interface SpareConnections {
  /** Rejects with the signal's reason, or as `open` does. */
  take(signal: AbortSignal): Promise<Taken>;
  /** Takes a connection back that its user has no more use for; one that has failed is forgotten. */
  give(client: DaemonClient): void;
  /** Closes what is spare, now and later. Who waits is served or refused as `open` ends. */
  close(): void;
}

interface Waiting {
  readonly serve: (taken: Taken) => void;
  readonly refuse: (error: Error) => void;
}

/** What is spare is closed after `idleMs` milliseconds. */
export function createSpareConnections(open: () => Promise<DaemonClient>, idleMs: number): SpareConnections {
  const idle: { readonly client: DaemonClient; readonly timer: NodeJS.Timeout }[] = [];
  const queue = new Set<Waiting>();
  /** Never fewer than those who wait. */
  let opening = 0;
  let closed = false;

  const keep = (client: DaemonClient): void => {
    const entry = { client, timer: setTimeout(() => client.destroy(), idleMs).unref() };
    idle.push(entry);
    void client.closed.then(() => {
      clearTimeout(entry.timer);
      const at = idle.indexOf(entry);
      if (at >= 0) idle.splice(at, 1);
    });
  };
  const offer = (taken: Taken): void => {
    const { client } = taken;
    const [next] = queue;
    if (closed) client.destroy();
    else if (client.failure !== null) return;
    else if (next === undefined) keep(client);
    else next.serve(taken);
  };
  const openOne = async (): Promise<void> => {
    opening += 1;
    try {
      const client = await open().finally(() => {
        opening -= 1;
      });
      offer({ client, fresh: true });
      if (client.failure !== null) throw client.failure;
    } catch (error) {
      const [next] = queue;
      if (queue.size > opening) next?.refuse(error as Error);
    }
  };
  const wait = (signal: AbortSignal): Promise<Taken> =>
    new Promise((resolve, reject) => {
      const leave = (): void => {
        queue.delete(waiting);
        signal.removeEventListener("abort", onAbort);
      };
      const waiting: Waiting = {
        serve: (taken) => {
          leave();
          resolve(taken);
        },
        refuse: (error) => {
          leave();
          reject(error);
        },
      };
      const onAbort = (): void => waiting.refuse(signal.reason as Error);
      signal.addEventListener("abort", onAbort, { once: true });
      queue.add(waiting);
      if (opening < queue.size) void openOne();
    });
  /** The connection that was used last: the others may then grow old and be closed. */
  const takeIdle = (): DaemonClient | null => {
    for (let entry = idle.pop(); entry !== undefined; entry = idle.pop()) {
      clearTimeout(entry.timer);
      if (entry.client.failure === null) return entry.client;
    }
    return null;
  };

  return {
    take: async (signal) => {
      signal.throwIfAborted();
      const client = takeIdle();
      return client === null ? wait(signal) : { client, fresh: false };
    },
    give: (client) => offer({ client, fresh: false }),
    close: () => {
      closed = true;
      for (const { client } of idle) client.destroy();
    },
  };
}
