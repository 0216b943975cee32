// The HTTP server of a static cache: within bounds, whatever its clients do.

import http from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { TetherError, messageOf } from "../../util/errors.js";
import { answer, sendStatus } from "./answer.js";

/** Times in milliseconds. */
export interface ServerLimits {
  readonly connections: number;
  /** From one address; Nix uses up to 25 per running command. */
  readonly connectionsOfOne: number;
  /** A client that takes nothing for this time loses its connection. */
  readonly stallMs: number;
  /** A request's headers must have come within this time. */
  readonly headersMs: number;
  readonly keepAliveMs: number;
  /** How often it is looked for requests that take too long. */
  readonly checkMs: number;
}

export const defaultServerLimits: ServerLimits = {
  connections: 512,
  connectionsOfOne: 128,
  stallMs: 60_000,
  headersMs: 10_000,
  keepAliveMs: 30_000,
  checkMs: 5_000,
};

/** `host` null is every address of this machine. */
export interface Listen {
  readonly host: string | null;
  readonly port: number;
}

export interface ServeOptions extends Listen {
  /** The cache's folder, a real path. */
  readonly folder: string;
  readonly limits: ServerLimits;
  /** Told when a file can not be read, and when that is over; null is the latter. */
  readonly onTrouble: (why: string | null) => void;
}

export interface CacheServer {
  readonly port: number;
  /** Ends when what is under way has ended, or `ms` milliseconds later. */
  close(ms: number): Promise<void>;
}

/** Rejects with `serve-listen` where it can not listen. */
export async function serveCache(options: ServeOptions): Promise<CacheServer> {
  const { folder, limits, onTrouble } = options;
  let trouble = false;
  const server = http.createServer(
    {
      keepAliveTimeout: limits.keepAliveMs,
      headersTimeout: limits.headersMs,
      requestTimeout: limits.headersMs,
      connectionsCheckingInterval: limits.checkMs,
    },
    (request, response) => {
      response.on("error", () => undefined);
      answer(folder, request, response).then(
        () => {
          if (trouble && response.statusCode < 300) onTrouble(null);
          trouble &&= response.statusCode >= 300;
        },
        (error: unknown) => {
          if (response.destroyed) return;
          if (!trouble) onTrouble(messageOf(error));
          trouble = true;
          if (response.headersSent) response.destroy();
          else sendStatus(response, 500, "it can not be read\n");
        },
      );
    },
  );
  server.maxConnections = limits.connections;
  server.timeout = limits.stallMs;
  server.on("clientError", (_error, socket) => socket.destroy());
  boundEachAddress(server, limits.connectionsOfOne);
  await listen(server, options);
  // A connection that can not be accepted, for want of open files say, is that one's trouble: others are served.
  server.on("error", (error) => {
    if (!trouble) onTrouble(messageOf(error));
    trouble = true;
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: async (ms) => {
      const ended = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const timer = setTimeout(() => server.closeAllConnections(), ms);
      await ended;
      clearTimeout(timer);
    },
  };
}

function boundEachAddress(server: http.Server, most: number): void {
  const counts = new Map<string, number>();
  server.on("connection", (socket: Socket) => {
    socket.on("error", () => undefined);
    const address = socket.remoteAddress ?? "";
    const count = (counts.get(address) ?? 0) + 1;
    counts.set(address, count);
    socket.once("close", () => {
      const left = (counts.get(address) ?? 1) - 1;
      if (left === 0) counts.delete(address);
      else counts.set(address, left);
    });
    if (count > most) socket.destroy();
  });
}

async function listen(server: http.Server, { host, port }: Listen): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ port, ...(host === null ? {} : { host }) }, () => {
        server.removeListener("error", reject);
        resolve();
      });
    });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const where = `${host === null ? "port " : `${host}, port `}${port}`;
    const why = code === "EADDRINUSE" ? "another program has it" : messageOf(error);
    throw new TetherError("serve-listen", `can not listen on ${where}: ${why}`, {
      remedy: "Stop what has it, or choose another one with --listen ADDRESS:PORT.",
      cause: error,
    });
  }
}
