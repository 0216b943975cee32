// Connects to every address as soon as it is known and hands the sockets out in the order in which they answered.

import type { Socket } from "node:net";
import { messageOf } from "../util/errors.js";
import type { Endpoint } from "./link.js";
import { connectForSsh } from "./ssh-socket.js";

/** A TCP connection that stands. The taker must close it. */
export interface Dialled {
  readonly address: string;
  readonly port: number;
  readonly socket: Socket;
}

/** Why an address did not answer. */
export interface DialFailure {
  readonly address: string;
  readonly port: number;
  readonly why: string;
}

/** An address to connect to. */
export interface DialTarget {
  readonly endpoint: Endpoint;
  readonly port: number;
}

export interface DialOptions {
  readonly signal: AbortSignal;
  /** Further addresses, when they are known. Must not reject. */
  readonly more?: Promise<readonly DialTarget[]>;
  /** Called once for each address that does not answer in time. */
  readonly onFailure: (failure: DialFailure) => void;
}

// On a LAN an answer takes milliseconds; the rest is for a phone or a Pi that has to wake up.
const CONNECT_MS = 3_000;
const MAX_ADDRESSES = 8;

/**
 * The connections that succeed, fastest first. Leaving the loop closes those that were not handed out. Ends when
 * every address has answered or failed, at the latest 3 s after the last is known; throws the signal's reason when aborted.
 */
export async function* dial(
  targets: readonly DialTarget[],
  options: DialOptions,
): AsyncGenerator<Dialled, void, void> {
  const { signal, more } = options;
  signal.throwIfAborted();
  const answered: Dialled[] = [];
  const pending = new Set<Socket>();
  let wake: () => void = () => undefined;
  let dialled = 0;
  let complete = false;
  const start = (found: readonly DialTarget[]): void => {
    for (const { endpoint, port } of found.slice(0, MAX_ADDRESSES - dialled)) {
      dialled += 1;
      const { address } = endpoint;
      const socket = connectTo(address, port, (why) => {
        pending.delete(socket);
        if (why === null) answered.push({ address, port, socket });
        else options.onFailure({ address, port, why });
        wake();
      });
      pending.add(socket);
    }
  };
  const startLast = (found: readonly DialTarget[]): void => {
    if (complete) return;
    complete = true;
    start(found);
    wake();
  };
  start(targets);
  if (more === undefined) complete = true;
  else void more.then(startLast);
  const onAbort = (): void => wake();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    for (;;) {
      signal.throwIfAborted();
      const next = answered.shift();
      // One that waited too long for its turn may have been closed by sshd.
      if (next !== undefined && !next.socket.destroyed) yield next;
      else if (next === undefined && complete && pending.size === 0) return;
      else if (next === undefined) await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    complete = true;
    signal.removeEventListener("abort", onAbort);
    for (const socket of pending) socket.destroy();
    for (const { socket } of answered) socket.destroy();
  }
}

/** Calls back once: with null when connected, or with the reason. */
function connectTo(address: string, port: number, done: (why: string | null) => void): Socket {
  const socket = connectForSsh(address, port);
  let settled = false;
  const settle = (why: string | null): void => {
    if (settled) return;
    settled = true;
    clearTimeout(timer);
    done(why);
  };
  const timer = setTimeout(() => {
    settle(`no answer within ${CONNECT_MS / 1000} s`);
    socket.destroy();
  }, CONNECT_MS);
  socket.on("connect", () => settle(null));
  // Stays for the socket's whole life.
  socket.on("error", (error: NodeJS.ErrnoException) => settle(error.code ?? messageOf(error)));
  socket.on("close", () => settle("closed"));
  return socket;
}
