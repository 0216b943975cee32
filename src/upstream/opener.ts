// Opens connections to the nix-daemon one after another: a Nix 2.8 daemon has a listen backlog of five, and one
// connection that cannot be opened need not be tried sixteen times at once.

import type { Duplex } from "node:stream";
import { TetherError } from "../util/errors.js";
import { DaemonClient } from "./daemon-client.js";

/** What a connection is for, the most urgent first. */
const kinds = ["lookup", "nar", "check"] as const;
type Kind = (typeof kinds)[number];

/** Opens connections in order, lookups before NARs, and checks last. */
export interface Opener {
  /** Rejects with code `timeout`, what `openDaemon` or the handshake says, or the signal's reason. */
  open(kind: Kind, signal?: AbortSignal): Promise<DaemonClient>;
  /** Calls off what waits and what is being opened. */
  close(): void;
}

interface Waiting {
  readonly begin: () => void;
  readonly refuse: (error: Error) => void;
}

/** `openMs` is how long one connection may take, its handshake included. */
export function createOpener(openDaemon: () => Promise<Duplex>, openMs: number): Opener {
  const closing = new AbortController();
  const waiting: Record<Kind, Waiting[]> = { lookup: [], nar: [], check: [] };
  let busy = false;

  const turn = async (kind: Kind): Promise<void> => {
    if (busy) await new Promise<void>((begin, refuse) => waiting[kind].push({ begin, refuse }));
    busy = true;
  };
  const pass = (): void => {
    const next = waiting.lookup.shift() ?? waiting.nar.shift() ?? waiting.check.shift();
    if (next === undefined) busy = false;
    else next.begin();
  };
  const refuseAll = (error: Error): void => {
    for (const { refuse } of kinds.flatMap((kind) => waiting[kind].splice(0))) refuse(error);
  };

  return {
    open: async (kind, signal) => {
      const either = signal === undefined ? closing.signal : AbortSignal.any([closing.signal, signal]);
      await turn(kind);
      try {
        either.throwIfAborted();
        const until = performance.now() + openMs;
        const stream = await streamWithin(openDaemon, openMs, either);
        const ms = Math.max(1, until - performance.now());
        return await DaemonClient.connect(stream, { ms, signal: either });
      } catch (error) {
        // The next one would wait as long for nothing.
        if (error instanceof TetherError && error.code === "timeout") refuseAll(error);
        throw error;
      } finally {
        pass();
      }
    },
    close: () => {
      const reason = new TetherError("closed", "the cache was closed");
      refuseAll(reason);
      closing.abort(reason);
    },
  };
}

/** A stream that comes too late is destroyed when it comes. */
function streamWithin(open: () => Promise<Duplex>, ms: number, signal: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    let given = false;
    const settle = (): void => {
      given = true;
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    };
    const fail = (error: Error): void => {
      settle();
      reject(error);
    };
    const onAbort = (): void => fail(signal.reason as Error);
    const late = new TetherError("timeout", `no connection to the nix-daemon within ${ms} ms`);
    const timer = setTimeout(() => fail(late), ms);
    signal.addEventListener("abort", onAbort, { once: true });
    open().then((stream) => {
      if (given) {
        stream.on("error", () => undefined);
        stream.destroy();
        return;
      }
      settle();
      resolve(stream);
    }, fail);
  });
}
