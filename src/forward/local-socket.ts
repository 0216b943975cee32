// The forward: a local unix socket whose every connection is joined to the remote nix-daemon.

import { randomInt } from "node:crypto";
import { chmod, lstat, rename, unlink } from "node:fs/promises";
import net, { type Socket } from "node:net";
import { dirname, join } from "node:path";
import type { Duplex } from "node:stream";

import type { Logger } from "pino";

import { withDeadline } from "../util/abort.js";
import { TetherError, messageOf } from "../util/errors.js";
import { checkLength, prepareFolder } from "../util/socket-path.js";
import { joinStreams } from "./join.js";
import { ignoreMissing, removeStale } from "./stale-socket.js";

/** A remote nix-daemon that takes longer to be reached is not there. */
const defaultOpenMs = 10_000;
/** Far more than Nix opens; a bound all the same. */
const mostConnections = 100;

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
  /** Connections at present. */
  readonly connections: number;
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

  const serve = async (client: Socket): Promise<void> => {
    clients.add(client);
    client.on("error", () => undefined);
    try {
      const remote = await openBounded(openDaemon, openMs);
      streams.add(remote);
      await joinStreams(client, remote).finally(() => streams.delete(remote));
    } catch (error) {
      log.warn({ socket: path, reason: messageOf(error) }, "forward cannot reach the remote nix-daemon");
    } finally {
      client.destroy();
      clients.delete(client);
      if (client.bytesRead > 0 && closing === null) options.onSent?.();
    }
  };

  const server = net.createServer({ allowHalfOpen: true }, (client) => void serve(client));
  server.maxConnections = mostConnections;
  const identity = await listen(server, path);
  server.on("error", (error) => log.error({ socket: path, reason: messageOf(error) }, "forward broke"));
  log.info({ socket: path }, "forward listens");

  const shut = async (): Promise<void> => {
    if ((await identify(path)) === identity) await unlink(path).catch(ignoreMissing);
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const stream of [...clients, ...streams]) stream.destroy();
    await closed;
  };
  return {
    get connections() {
      return clients.size;
    },
    close() {
      closing ??= shut();
      return closing;
    },
  };
}

/**
 * Binds to a passing name and renames it into place, so that the socket never shows with another mode, and because
 * libuv unlinks, on close, the name it was bound to, whoever's file has that name by then. Returns its identity.
 */
async function listen(server: net.Server, path: string): Promise<string> {
  // Not longer than the shortest `<cache>.sock`, so that it fits where that fits.
  const passing = join(
    dirname(path),
    `.${randomInt(36 ** 4)
      .toString(36)
      .padStart(4, "0")}`,
  );
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(passing, () => {
        server.removeListener("error", reject);
        resolve();
      });
    });
    await chmod(passing, 0o600);
    await rename(passing, path);
  } catch (error) {
    server.close();
    throw new TetherError("socket-listen", `cannot listen on ${path}: ${messageOf(error)}`, { cause: error });
  }
  return (await identify(path)) ?? "";
}

/** Tells a file from another one that was put in its place. */
async function identify(path: string): Promise<string | null> {
  const found = await lstat(path, { bigint: true }).catch(ignoreMissing);
  return found === null ? null : `${found.dev}:${found.ino}`;
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
