// From a request to its answer. Whatever goes wrong in here is a 404, or a closed connection once a NAR has begun.

import type { IncomingMessage, ServerResponse } from "node:http";
import { finished } from "node:stream/promises";

import type { Logger } from "pino";

import { formatNarinfo } from "../protocol/narinfo.js";
import { fileOf } from "../protocol/offered-path.js";
import { messageOf } from "../util/errors.js";
import { formatCacheInfo, sendForbidden, sendNotFound, sendText } from "./answers.js";
import { answerNar } from "./nar-answer.js";
import { answerPage, type Page } from "./pages.js";
import { isLoopbackHost, narUrl, parseRoute, type Route } from "./routes.js";
import { isUnsigned, type ServedCache } from "./served-cache.js";

/** Answers one request; the promise settles when the response has ended, and never rejects. `peer` is its uid, if known. */
export type Handler = (
  request: IncomingMessage,
  response: ServerResponse,
  peer: Promise<number | null>,
) => Promise<void>;

/** What a request for a narinfo came to: Nix remembers it, for an hour where it is "not here". */
export interface NarinfoAnswer {
  readonly cache: string;
  /** The one in the URL, or null. */
  readonly generation: number | null;
  readonly hashPart: string;
  readonly found: boolean;
}

export interface HandlerOptions {
  readonly caches: ReadonlyMap<string, ServedCache>;
  /** By their path; none of a cache's files has such a path. */
  readonly pages: ReadonlyMap<string, Page>;
  readonly ownUid: number;
  /** Told after the answer to each request for a narinfo. */
  readonly onNarinfo: (answer: NarinfoAnswer) => void;
  readonly log: Logger;
}

export function createHandler(options: HandlerOptions): Handler {
  const { caches } = options;
  return async (request, response, peer) => {
    const route = parseRoute(request.method, request.url);
    try {
      await answer(options, route, request, response, peer);
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

const rootAlone: ReadonlySet<number> = new Set([0]);

async function answer(
  { caches, pages, ownUid }: HandlerOptions,
  route: Route,
  request: IncomingMessage,
  response: ServerResponse,
  peer: Promise<number | null>,
): Promise<void> {
  request.on("error", () => undefined).resume();
  const uid = await peer;
  const page = pages.get(request.url ?? "");
  // Root is the nix-daemon, which works for everybody and has no business with a page.
  const others = page === undefined ? rootAlone : page.readers;
  if (uid !== null && uid !== ownUid && others?.has(uid) !== true) return sendForbidden(response);
  if (uid === null || !isLoopbackHost(request.headers.host)) return sendNotFound(response, { close: true });
  await bodyDropped(request);
  if (page !== undefined) return answerPage(page, request, response);
  const cache = route.kind === "none" ? undefined : caches.get(route.cache);
  if (cache === undefined) return sendNotFound(response);
  switch (route.kind) {
    case "none":
      return sendNotFound(response);
    case "cache-info":
      return sendText(response, 200, "text/x-nix-cache-info", formatCacheInfo(cache.priority));
    case "narinfo":
      return answerNarinfo(cache, route, response);
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

async function answerNarinfo(
  cache: ServedCache,
  { hashPart, generation }: Extract<Route, { kind: "narinfo" }>,
  response: ServerResponse,
): Promise<void> {
  const { outcome, info } = await cache.narinfo(hashPart);
  const unsigned = info !== null && isUnsigned(info);
  cache.recent.add(hashPart, {
    outcome,
    generation,
    unsigned,
    bytes: 0,
    size: info === null ? 0 : fileOf(info).size,
  });
  if (info === null) return sendNotFound(response);
  sendText(response, 200, "text/x-nix-narinfo", formatNarinfo(info, narUrl(hashPart, info)));
}
