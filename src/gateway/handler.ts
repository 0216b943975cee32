// From a request to its answer. Whatever goes wrong in here is a 404, or a closed connection once a NAR has begun.

import type { IncomingMessage, ServerResponse } from "node:http";
import { finished, pipeline } from "node:stream/promises";

import type { Logger } from "pino";

import { formatNarinfo } from "../protocol/narinfo.js";
import { nix32FromHex } from "../protocol/nix32.js";
import type { PathInfo } from "../protocol/path-info.js";
import { TetherError, messageOf } from "../util/errors.js";
import { formatCacheInfo, sendForbidden, sendNotFound, sendText } from "./answers.js";
import { openTransfer, type NarTransfer } from "./nar-transfer.js";
import { isLoopbackHost, narUrl, parseRangeStart, parseRoute, type Route } from "./routes.js";
import type { ServedCache } from "./served-cache.js";
import type { Session } from "./session.js";

/** Who is at the other end of a connection: the user we work for, somebody else, or not to be told. */
export type PeerVerdict = "allowed" | "foreign" | "unknown";

/** Answers one request; the promise settles when the response has ended, and never rejects. */
export type Handler = (
  request: IncomingMessage,
  response: ServerResponse,
  peer: Promise<PeerVerdict>,
) => Promise<void>;

/** What a request for a narinfo came to: Nix remembers it, for an hour where it is "not here". */
export interface NarinfoAnswer {
  readonly cache: string;
  /** The one in the URL, or null. */
  readonly generation: number | null;
  readonly hashPart: string;
  readonly found: boolean;
}

/** A handler for these caches, by name. `onNarinfo` is told after the answer to each request for a narinfo. */
export function createHandler(
  caches: ReadonlyMap<string, ServedCache>,
  options: { readonly onNarinfo: (answer: NarinfoAnswer) => void; readonly log: Logger },
): Handler {
  return async (request, response, peer) => {
    const route = parseRoute(request.method, request.url);
    try {
      await answer(caches, route, request, response, peer);
    } catch (error) {
      options.log.debug({ url: request.url, reason: messageOf(error) }, "request not answered as hoped");
      if (response.headersSent) response.destroy();
      else sendNotFound(response);
    }
    const { statusCode } = response;
    if (route.kind !== "narinfo" || !caches.has(route.cache) || !isLoopbackHost(request.headers.host)) return;
    if (statusCode !== 200 && statusCode !== 404) return;
    const { cache, generation, hashPart } = route;
    options.onNarinfo({ cache, generation, hashPart, found: statusCode === 200 });
  };
}

async function answer(
  caches: ReadonlyMap<string, ServedCache>,
  route: Route,
  request: IncomingMessage,
  response: ServerResponse,
  peer: Promise<PeerVerdict>,
): Promise<void> {
  request.on("error", () => undefined).resume();
  const verdict = await peer;
  if (verdict === "foreign") return sendForbidden(response);
  if (verdict === "unknown" || !isLoopbackHost(request.headers.host)) {
    return sendNotFound(response, { close: true });
  }
  await bodyDropped(request);
  const cache = route.kind === "none" ? undefined : caches.get(route.cache);
  if (cache === undefined) return sendNotFound(response);
  switch (route.kind) {
    case "none":
      return sendNotFound(response);
    case "cache-info":
      return sendText(response, 200, "text/x-nix-cache-info", formatCacheInfo(cache.priority));
    case "narinfo":
      return answerNarinfo(cache, route.hashPart, response);
    case "nar":
      return answerNar(cache, route, request, response);
  }
}

/**
 * No request that we know has a body, but an answer in the middle of one would reset the connection. A body
 * without end is ended by the server's `requestTimeout`.
 */
async function bodyDropped(request: IncomingMessage): Promise<void> {
  const { headers } = request;
  const comes = headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
  if (comes && headers.expect === undefined)
    await finished(request, { writable: false }).catch(() => undefined);
}

async function answerNarinfo(cache: ServedCache, hashPart: string, response: ServerResponse): Promise<void> {
  const info = await cache.narinfo(hashPart);
  if (info === null) return sendNotFound(response);
  const url = narUrl(hashPart, nix32FromHex(info.narHash));
  sendText(response, 200, "text/x-nix-narinfo", formatNarinfo(info, url));
}

async function answerNar(
  cache: ServedCache,
  route: Extract<Route, { kind: "nar" }>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { hashPart, narHash } = route;
  const nar = narUrl(hashPart, narHash);
  if (cache.session === null || cache.tombstones.has(nar)) return sendNotFound(response);
  const info = await cache.narPath(hashPart, narHash);
  const { session } = cache;
  if (info === null || session === null) return sendNotFound(response);
  if (request.method === "HEAD") {
    writeNarHead(response, info, null);
    response.end();
    return;
  }
  const from = parseRangeStart(request.headers.range);
  if (from !== null && from >= info.narSize) return sendNotFound(response);

  const client = new AbortController();
  response.once("close", () => client.abort());
  if (response.destroyed) return;
  const transfer = await begin(cache, { session, info, from: from ?? 0, hashPart }, client.signal);
  if (transfer === null) return sendNotFound(response);
  try {
    writeNarHead(response, info, from);
    if (from !== null && from > 0) cache.stats.resumed += 1;
    await pipeline(transfer.bytes(), response);
  } catch (error) {
    // Nix asks again with a Range within a second: the tombstone answers that with 404, which ends it well.
    const broken = transfer.broken();
    if (broken !== null) {
      // With another upstream there already, the retry can go on where this one ended.
      if (cache.session === null || cache.session === session) cache.tombstones.add(nar);
      cache.log.warn({ path: info.path, reason: messageOf(broken) }, "NAR cut");
    }
    throw error;
  } finally {
    transfer.release();
  }
}

/** The transfer with its first byte there, or null for "not here". */
async function begin(
  cache: ServedCache,
  nar: { session: Session; info: PathInfo; from: number; hashPart: string },
  client: AbortSignal,
): Promise<NarTransfer | null> {
  const { limits, now, stats } = cache;
  const { session, info, from, hashPart } = nar;
  const onBytes = (count: number): void => {
    stats.narBytes += count;
  };
  try {
    return await openTransfer({ session, info, from, limits, now, onBytes }, client);
  } catch (error) {
    if (error instanceof TetherError && error.code === "not-valid") cache.forget(hashPart);
    if (!client.aborted) cache.log.warn({ path: info.path, reason: messageOf(error) }, "NAR not to be had");
    return null;
  }
}

function writeNarHead(response: ServerResponse, info: PathInfo, from: number | null): void {
  const { narSize } = info;
  response.setHeader("content-type", "application/x-nix-nar");
  response.setHeader("accept-ranges", "bytes");
  response.setHeader("content-length", narSize - (from ?? 0));
  if (from !== null) response.setHeader("content-range", `bytes ${from}-${narSize - 1}/${narSize}`);
  response.writeHead(from === null ? 200 : 206);
}
