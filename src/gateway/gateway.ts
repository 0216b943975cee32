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
import { createHandler, type NarinfoAnswer } from "./handler.js";
import { defaultLimits, type GatewayLimits } from "./limits.js";
import { listen, type ListenOn } from "./listen.js";
import type { Page } from "./pages.js";
import { createPeerLookup, type PeerLookup } from "./peer.js";
import type { RecentAnswer } from "./recent-answers.js";
import { ServedCache, type GatewayStats } from "./served-cache.js";
import type { Answer } from "./session.js";
import type { Transfer } from "./transfer.js";

export type { NarinfoAnswer } from "./handler.js";
export type { Page } from "./pages.js";
export type { Outcome, RecentAnswer } from "./recent-answers.js";
export type { GatewayStats } from "./served-cache.js";
export type { Transfer } from "./transfer.js";

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
  /** The NARs that are on their way. */
  transfers(cache: string): readonly Readonly<Transfer>[];
  /** What this cache was asked about a path, the newest first, as far back as `since` (milliseconds since the epoch). */
  recent(cache: string, hashPart: string): { readonly since: number; readonly answers: RecentAnswer[] };
  /** Asks the machine now, on nobody's behalf: nothing is counted or remembered. Null while it is away. Never rejects. */
  ask(cache: string, hashPart: string): Promise<Answer | null>;
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
   * The uid at the other end of a new connection; a rejection ("cannot tell") gives 404 and the end of the connection. By
   * default by the kernel's tables, so Linux only. Root and `ownUid` are answered, everybody else gets 403.
   */
  readonly peerUid?: PeerLookup;
  /** The user that this gateway works for; by default the one of this process. */
  readonly ownUid?: number;
  /** What there is beside the caches, by its path. */
  readonly pages?: ReadonlyMap<string, Page>;
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
      new ServedCache({ priority, limits, now, wallNow: Date.now, log: log.child({ cache: name }) }),
    ]),
  );
  const cacheNamed = (name: string): ServedCache => {
    const cache = caches.get(name);
    if (cache === undefined) throw new TetherError("unknown-cache", `the gateway serves no cache ${name}`);
    return cache;
  };

  const server = createServer(limits);
  const peers = watchPeers(server, options.peerUid ?? createPeerLookup(), limits, log);
  const handler = createHandler({
    caches,
    pages: options.pages ?? new Map<string, Page>(),
    ownUid: options.ownUid ?? process.geteuid?.() ?? 0,
    onNarinfo: options.onNarinfo ?? (() => undefined),
    log,
  });
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
    transfers: (cache) => [...cacheNamed(cache).transfers],
    recent: (cache, hashPart) => {
      const { recent } = cacheNamed(cache);
      return { since: recent.since, answers: recent.about(hashPart) };
    },
    ask: (cache, hashPart) => cacheNamed(cache).askNow(hashPart),
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
    noDelay: true,
    // We say 404 ourselves where Node would say 400.
    requireHostHeader: false,
  });
  server.maxConnections = limits.maxConnections;
  return server;
}

/** Looks up each connection's peer once, beginning when it is accepted; null where it cannot be told. */
function watchPeers(
  server: http.Server,
  peerUid: PeerLookup,
  limits: GatewayLimits,
  log: Logger,
): (socket: Socket) => Promise<number | null> {
  const peers = new WeakMap<Socket, Promise<number | null>>();
  const lookUp = async (socket: Socket): Promise<number | null> => {
    try {
      return await withDeadline(peerUid(socket), limits.peerCheckMs, "looking up a peer");
    } catch (error) {
      log.debug({ reason: messageOf(error) }, "peer not known");
      return null;
    }
  };
  server.on("connection", (socket: Socket) => {
    socket.on("error", () => undefined);
    peers.set(socket, lookUp(socket));
  });
  return (socket) => peers.get(socket) ?? Promise.resolve(null);
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
