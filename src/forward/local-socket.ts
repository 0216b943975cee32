// The forward: a local unix socket whose every connection is joined to the remote nix-daemon.

import net, { type Socket } from "node:net";
import type { Duplex } from "node:stream";

import type { Logger } from "pino";

import { withDeadline } from "../util/abort.js";
import { TetherError, messageOf } from "../util/errors.js";
import { gather } from "../util/gather.js";
import { checkLength, prepareFolder } from "../util/socket-path.js";
import { listenAt } from "../util/unix-socket.js";
import { joinStreams } from "./join.js";
import { removeStale } from "./stale-socket.js";

/** A remote nix-daemon that takes longer to be reached is not there. */
const defaultOpenMs = 10_000;
/** Far more than Nix opens; a bound all the same. */
const mostConnections = 100;
/** Bytes that wait in each direction of a connection before the sender is held: several of SSH's packets. */
const highWaterMark = 256 * 1024;

export interface ForwardOptions {
  /** Where the socket is put, in a folder that becomes the user's alone. */
  readonly path: string;
  /** A fresh byte stream to the remote nix-daemon. */
  readonly openDaemon: () => Promise<Duplex>;
  readonly log: Logger;
  /** Told when a connection has ended, if it had sent anything: it may have been an upload. */
  readonly onSent?: () => void;
  /** Wait for `openDaemon`, in milliseconds. */
  readonly openMs?: number;
}

export interface Forward {
  /** Removes the socket, then ends its connections. Idempotent. */
  close(): Promise<void>;
  /** Whether its socket is still there, and nothing else in its place. */
  stands(): Promise<boolean>;
  /** Connections at present. */
  readonly connections: number;
  /** Bytes that its clients have sent, all together. */
  readonly sent: number;
}

/**
 * Listens at `path`, mode 0600. Rejects with code `socket-path-too-long`, `socket-folder`, `socket-path-taken`,
 * `socket-in-use` or `socket-listen`.
 */
export async function openForward(options: ForwardOptions): Promise<Forward> {
  const { path, openDaemon, log, openMs = defaultOpenMs } = options;
  checkLength(path);
  await prepareFolder(path);
  await removeStale(path);

  const clients = new Set<Socket>();
  const streams = new Set<Duplex>();
  let closing: Promise<void> | null = null;
  /** By clients that have left. */
  let sentBefore = 0;

  const serve = async (client: Socket): Promise<void> => {
    clients.add(client);
    client.on("error", () => undefined);
    try {
      const remote = await openBounded(openDaemon, openMs);
      streams.add(remote);
      remote.on("data", () => gather(client));
      await joinStreams(client, remote).finally(() => streams.delete(remote));
    } catch (error) {
      log.warn({ socket: path, reason: messageOf(error) }, "forward cannot reach the remote nix-daemon");
    } finally {
      client.destroy();
      clients.delete(client);
      sentBefore += client.bytesRead;
      if (client.bytesRead > 0 && closing === null) options.onSent?.();
    }
  };

  const server = net.createServer({ allowHalfOpen: true, highWaterMark }, (client) => void serve(client));
  server.maxConnections = mostConnections;
  const place = await listenAt(server, path).catch((error: unknown) => {
    throw new TetherError("socket-listen", `cannot listen on ${path}: ${messageOf(error)}`, { cause: error });
  });
  server.on("error", (error) => log.error({ socket: path, reason: messageOf(error) }, "forward broke"));
  log.info({ socket: path }, "forward listens");

  const shut = async (): Promise<void> => {
    await place.remove();
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const stream of [...clients, ...streams]) stream.destroy();
    await closed;
  };
  return {
    get connections() {
      return clients.size;
    },
    get sent() {
      return [...clients].reduce((sum, { bytesRead }) => sum + bytesRead, sentBefore);
    },
    stands: () => place.stands(),
    close() {
      closing ??= shut();
      return closing;
    },
  };
}

/** A stream that comes too late is closed. */
async function openBounded(openDaemon: () => Promise<Duplex>, ms: number): Promise<Duplex> {
  let late = false;
  const opening = openDaemon();
  opening.then(
    (remote) => {
      remote.on("error", () => undefined);
      if (late) remote.destroy();
    },
    () => undefined,
  );
  try {
    return await withDeadline(opening, ms, "opening a stream to the remote nix-daemon");
  } catch (error) {
    late = true;
    throw error;
  }
}
