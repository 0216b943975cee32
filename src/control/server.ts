// The daemon's control socket: one JSON object a line, in both directions, for this user only.

import { lstatSync, unlinkSync } from "node:fs";
import net from "node:net";
import type { Logger } from "pino";
import { TetherError, messageOf } from "../util/errors.js";
import { checkLength, prepareFolder } from "../util/socket-path.js";
import { listenAt, type SocketPlace } from "../util/unix-socket.js";
import { askDaemon } from "./client.js";
import { createLineSplitter, type Line } from "./lines.js";
import type { ControlReply, ControlRequest } from "./messages.js";
import { parseRequest } from "./request.js";

/** Requests are a few dozen bytes. */
const maxLineBytes = 64 * 1024;

/** Clients ask and leave; one that keeps still for this long (milliseconds) has been forgotten. */
const idleMs = 60_000;

/** How long a daemon that holds the socket already may take to say its pid, in milliseconds. */
const askOtherMs = 2_000;

export interface ControlServerOptions {
  /** The socket; its folder is made (0700) where missing, but not the folder around that. */
  readonly path: string;
  /** Answers one request. What it throws is sent as `{ ok: false }` with its code and message. */
  readonly handle: (request: ControlRequest) => Promise<ControlReply>;
  readonly log: Logger;
}

export interface ControlServer {
  /**
   * Listens anew where the socket has been removed, with its folder perhaps; does nothing while it stands.
   * @throws TetherError as `serveControl`
   */
  mend(): Promise<void>;
  /** Stops listening, removes the socket and ends every connection. Idempotent. */
  close(): Promise<void>;
}

/**
 * Listens on the control socket. Requests of one connection are answered in order, each before the next is read.
 * @throws TetherError `already-running` when a daemon answers there; `control-unusable`, `socket-folder` or
 * `socket-path-too-long` when the socket can not be made.
 */
export async function serveControl(options: ControlServerOptions): Promise<ControlServer> {
  const { path: socketPath, log } = options;
  checkLength(socketPath);

  const sockets = new Set<net.Socket>();
  const open = async (): Promise<{ server: net.Server; place: SocketPlace }> => {
    await prepareFolder(socketPath);
    await removeStale(socketPath);
    const server = createServer(options, sockets);
    const place = await listenAt(server, socketPath).catch(async (error: unknown) => {
      // Another daemon may have been a moment quicker.
      await removeStale(socketPath);
      throw unusable(socketPath, messageOf(error), error);
    });
    server.on("error", (error) => log.warn({ err: error }, "control socket failed"));
    return { server, place };
  };
  let listening = await open();
  let closed: Promise<void> | null = null;
  return {
    mend: async () => {
      if (closed !== null || (await listening.place.stands())) return;
      const before = listening;
      listening = await open();
      before.server.close();
      log.info({ socket: socketPath }, "control socket made anew");
    },
    close: () => {
      closed ??= (async () => {
        await listening.place.remove();
        const ended = new Promise<void>((resolve) => listening.server.close(() => resolve()));
        for (const socket of sockets) socket.destroy();
        await ended;
      })();
      return closed;
    },
  };
}

function createServer(options: ControlServerOptions, sockets: Set<net.Socket>): net.Server {
  // Half-open: a client may end its side after the last request and still read the answers.
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", (error) => options.log.debug({ err: error }, "control connection failed"));
    socket.setTimeout(idleMs, () => socket.destroy());
    converse(socket, options).catch((error: unknown) => {
      options.log.debug({ err: error }, "control connection ended");
      socket.destroy();
    });
  });
  server.maxConnections = 64;
  return server;
}

async function converse(socket: net.Socket, options: ControlServerOptions): Promise<void> {
  const splitter = createLineSplitter(maxLineBytes);
  const answerAll = async (lines: readonly Line[]): Promise<void> => {
    for (const line of lines) {
      if ("text" in line && line.text.trim() === "") continue;
      await send(socket, await answer(line, options));
    }
  };
  // The plain iterator would destroy the socket at the end of input, and the last answers with it.
  for await (const chunk of socket.iterator({ destroyOnReturn: false }))
    await answerAll(splitter.push(chunk as Buffer));
  await answerAll(splitter.end());
  socket.end();
}

async function answer(line: Line, { handle, log }: ControlServerOptions): Promise<ControlReply> {
  if (!("text" in line)) {
    return { ok: false, code: "bad-request", message: `the request is longer than ${maxLineBytes} bytes` };
  }
  try {
    return await handle(parseRequest(line.text));
  } catch (error) {
    if (error instanceof TetherError) {
      const { code, message, remedy } = error;
      return { ok: false, code, message, ...(remedy === undefined ? {} : { remedy }) };
    }
    log.error({ err: error }, "a control request failed");
    return { ok: false, code: "internal", message: messageOf(error) };
  }
}

/** Waits for a slow reader, so that answers do not pile up in memory. */
async function send(socket: net.Socket, reply: ControlReply): Promise<void> {
  if (socket.destroyed || socket.write(`${JSON.stringify(reply)}\n`)) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      socket.off("drain", done);
      socket.off("close", done);
      resolve();
    };
    socket.on("drain", done);
    socket.on("close", done);
  });
}

/** A socket that nobody answers is left over from a daemon that was killed. */
async function removeStale(socketPath: string): Promise<void> {
  const info = lstatSync(socketPath, { throwIfNoEntry: false });
  if (info === undefined) return;
  if (!info.isSocket()) throw unusable(socketPath, "something that is not a socket is there");
  let pid: number | null = null;
  try {
    const reply = await askDaemon(socketPath, { command: "status" }, { timeoutMs: askOtherMs });
    pid = reply.ok ? reply.status.pid : null;
  } catch (error) {
    // Anything else than "nobody listens" means that somebody does, however badly it answers.
    if (error instanceof TetherError && error.code === "no-daemon") {
      unlinkSync(socketPath);
      return;
    }
  }
  throw new TetherError(
    "already-running",
    `a daemon is running already${pid === null ? "" : ` (pid ${pid})`}`,
    {
      remedy: "Stop it first: systemctl --user stop nix-tether (or end that process)",
    },
  );
}

function unusable(what: string, why: string, cause?: unknown): TetherError {
  return new TetherError("control-unusable", `the control socket can not be made at ${what}: ${why}`, {
    remedy: "Make sure that XDG_RUNTIME_DIR names an existing folder that only you can enter.",
    cause,
  });
}
