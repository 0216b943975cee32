// The gateway: a binary cache on loopback that looks to Nix like any other, and like an absent one when it can't help.

import http, { type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { performance } from "node:perf_hooks";
import type { Duplex } from "node:stream";

import type { Logger } from "pino";

import type { Upstream } from "../upstream/upstream.js";
import { withDeadline } from "../util/abort.js";
import { TetherError, messageOf } from "../util/errors.js";
import { rawNotFound } from "./answers.js";
import { createHandler, type NarinfoAnswer, type PeerVerdict } from "./handler.js";
import { defaultLimits, type GatewayLimits } from "./limits.js";
import { createPeerCheck, ownUids } from "./peer.js";
import { listen, type ListenOn } from "./listen.js";
import { ServedCache, type GatewayStats } from "./served-cache.js";

export type { NarinfoAnswer } from "./handler.js";
export type { GatewayStats } from "./served-cache.js";

/** One cache to serve, at `/<name>/` and at `/<name>/<0…15>/`. */
export interface GatewayCacheOptions {
  readonly name: string;
  /** Told in `nix-cache-info`; Nix asks lower ones first. */
  readonly priority: number;
}

/** The HTTP binary cache that Nix asks. */
export interface Gateway {
  /**
   * null = "not here" from this moment on. With `mayReturn` (default false) the machine is being looked for: running NARs
   * then wait for the next upstream, and so do requests for what memory cannot answer, all for a bounded time. Without it
   * they end at once, also where there was no upstream already.
   */
  setUpstream(cache: string, upstream: Upstream | null, options?: { readonly mayReturn: boolean }): void;
  stats(cache: string): GatewayStats;
  /** Whether one of these paths would be told of now. Rejects when the upstream cannot say. */
  servesAny(cache: string, hashParts: readonly string[], signal: AbortSignal): Promise<boolean>;
  /**
   * Begins to accept connections. Rejects with code `gateway-port-taken`, `gateway-port-held` or `gateway-listen`, and may
   * be called again then.
   */
  listen(on: ListenOn): Promise<void>;
  /** Port it listens on; 0 until it does. */
  readonly port: number;
  /**
   * Stops listening; running NARs may finish for at most `graceMs` milliseconds, those that wait for an upstream end at
   * once. Idempotent.
   */
  close(graceMs: number): Promise<void>;
}

/** Which caches it serves, to whom, and within which limits. */
export interface GatewayOptions {
  readonly caches: readonly GatewayCacheOptions[];
  readonly log: Logger;
  /** Told after each answer to a request for a narinfo. */
  readonly onNarinfo?: (answer: NarinfoAnswer) => void;
  /**
   * Whether the peer of a new connection is answered: false gives 403, a rejection ("cannot tell") 404 and the
   * end of the connection. By default root and the own user, by the kernel's tables, so Linux only.
   */
  readonly isAllowed?: (socket: Socket) => Promise<boolean>;
  readonly limits?: Partial<GatewayLimits>;
}

/** A gateway that listens; see `Gateway.listen` for how that may fail. */
export async function openGateway(options: GatewayOptions & { readonly listen: ListenOn }): Promise<Gateway> {
  const gateway = createGateway(options);
  await gateway.listen(options.listen);
  return gateway;
}

/** The gateway, before it listens. */
export function createGateway(options: GatewayOptions): Gateway {
  const { log } = options;
  const limits = { ...defaultLimits, ...options.limits };
  const now = (): number => performance.now();
  const caches = new Map(
    options.caches.map(({ name, priority }) => [
      name,
      new ServedCache({ priority, limits, now, log: log.child({ cache: name }) }),
    ]),
  );
  const cacheNamed = (name: string): ServedCache => {
    const cache = caches.get(name);
    if (cache === undefined) throw new TetherError("unknown-cache", `the gateway serves no cache ${name}`);
    return cache;
  };

  const server = createServer(limits);
  const peers = watchPeers(server, options.isAllowed ?? createPeerCheck(ownUids()), limits, log);
  const handler = createHandler(caches, { onNarinfo: options.onNarinfo ?? (() => undefined), log });
  const inUse = new Map<Duplex, ServerResponse>();
  let closing: Promise<void> | null = null;

  const onRequest = (request: http.IncomingMessage, response: ServerResponse): void => {
    const { socket } = request;
    inUse.set(socket, response);
    response.on("error", () => undefined);
    response.once("close", () => {
      if (inUse.get(socket) === response) inUse.delete(socket);
      if (closing !== null) setImmediate(() => server.closeIdleConnections());
    });
    if (closing !== null) response.setHeader("connection", "close");
    void handler(request, response, peers(socket));
  };
  server.on("request", onRequest);
  // Without these Node would answer 417, or begin to wait for a body.
  server.on("checkContinue", onRequest);
  server.on("checkExpectation", onRequest);
  server.on("connect", (_request, socket: Duplex) => refuse(socket));
  server.on("clientError", (_error, socket: Duplex) => {
    // Bytes of an error page must not get among those of a NAR.
    if (inUse.has(socket)) socket.destroy();
    else refuse(socket);
  });

  let port = 0;
  return {
    get port() {
      return port;
    },
    async listen(on) {
      port = await listen(server, on);
      server.on("error", (error) =>
        log.error({ reason: messageOf(error) }, "gateway cannot accept connections"),
      );
      log.info({ port }, "gateway listens");
    },
    setUpstream: (cache, upstream, { mayReturn } = { mayReturn: false }) =>
      cacheNamed(cache).setUpstream(upstream, mayReturn),
    servesAny: (cache, hashParts, signal) => cacheNamed(cache).servesAny(hashParts, signal),
    stats: (cache) => ({ ...cacheNamed(cache).stats }),
    close(graceMs) {
      for (const { reach } of caches.values()) reach.close();
      closing ??= closeServer(server, graceMs);
      return closing;
    },
  };
}

function createServer(limits: GatewayLimits): http.Server {
  const server = http.createServer({
    keepAliveTimeout: limits.keepAliveMs,
    headersTimeout: 10_000,
    requestTimeout: 60_000,
    connectionsCheckingInterval: 5_000,
    noDelay: true,
    // We say 404 ourselves where Node would say 400.
    requireHostHeader: false,
  });
  server.maxConnections = limits.maxConnections;
  return server;
}

/** Looks up each connection's peer once, beginning when it is accepted. */
function watchPeers(
  server: http.Server,
  isAllowed: (socket: Socket) => Promise<boolean>,
  limits: GatewayLimits,
  log: Logger,
): (socket: Socket) => Promise<PeerVerdict> {
  const verdicts = new WeakMap<Socket, Promise<PeerVerdict>>();
  const judge = async (socket: Socket): Promise<PeerVerdict> => {
    try {
      const allowed = await withDeadline(isAllowed(socket), limits.peerCheckMs, "looking up a peer");
      return allowed ? "allowed" : "foreign";
    } catch (error) {
      log.debug({ reason: messageOf(error) }, "peer not known");
      return "unknown";
    }
  };
  server.on("connection", (socket: Socket) => {
    socket.on("error", () => undefined);
    verdicts.set(socket, judge(socket));
  });
  return (socket) => verdicts.get(socket) ?? Promise.resolve("unknown");
}

function refuse(socket: Duplex): void {
  socket.on("error", () => undefined);
  if (socket.writable) socket.end(rawNotFound, () => socket.destroy());
  else socket.destroy();
}

async function closeServer(server: http.Server, graceMs: number): Promise<void> {
  const timer = setTimeout(() => server.closeAllConnections(), graceMs);
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  clearTimeout(timer);
}
