// The answer to a request for a NAR: 404, or one unbroken run of bytes; a closed connection when that is given up.

import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";

import type { PathInfo } from "../protocol/path-info.js";
import { TetherError, messageOf } from "../util/errors.js";
import { sendNotFound } from "./answers.js";
import { deliverNar } from "./nar-delivery.js";
import { narUrl, parseRangeStart, type Route } from "./routes.js";
import type { ServedCache } from "./served-cache.js";

type NarRoute = Extract<Route, { kind: "nar" }>;

/** Rejects when the response had to be cut. */
export async function answerNar(
  cache: ServedCache,
  route: NarRoute,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { hashPart, narHash } = route;
  const nar = narUrl(hashPart, narHash);
  if (cache.tombstones.has(nar)) return sendNotFound(response);
  const client = new AbortController();
  response.once("close", () => client.abort(new TetherError("client-gone", "the client went away")));
  if (response.destroyed) return;
  const info = await findNar(cache, route, client.signal);
  if (info === null) return sendNotFound(response);
  if (request.method === "HEAD") {
    writeNarHead(response, info, null);
    response.end();
    return;
  }
  const from = parseRangeStart(request.headers.range);
  if (from !== null && from >= info.narSize) return sendNotFound(response);

  const pieces = deliverNar(cache, { info, hashPart, from: from ?? 0 }, client.signal);
  const first = await begin(cache, info, hashPart, pieces, client.signal);
  if (first === null) return sendNotFound(response);
  const onGivenUp = (error: unknown): void => {
    if (client.signal.aborted) return;
    // Nix asks again with a Range within a second: the tombstone answers that with 404, which ends it well.
    cache.tombstones.add(nar);
    cache.log.warn({ path: info.path, reason: messageOf(error) }, "NAR given up");
  };
  writeNarHead(response, info, from);
  try {
    await pipeline(body(first, pieces, { onGivenUp, watch: clientWatch(cache, response) }), response);
  } finally {
    // With a response that had closed already the body never began.
    await pieces.return();
  }
}

/** The path, once there is an upstream to take it from, or null for "not here". */
async function findNar(cache: ServedCache, route: NarRoute, client: AbortSignal): Promise<PathInfo | null> {
  const { reach, limits, now } = cache;
  const until = now() + limits.resumeMs;
  for (;;) {
    const session = await reach.arrival(until, client);
    if (session === null) return null;
    const info = await cache.narPath(route.hashPart, route.narHash);
    // Where the upstream went away meanwhile, "not here" would be rash.
    if (info !== null || reach.session === session || now() >= until) return info;
  }
}

/** The first bytes, so that a 200 can be promised, or null for "not here". */
async function begin(
  cache: ServedCache,
  info: PathInfo,
  hashPart: string,
  pieces: AsyncGenerator<Buffer, void, undefined>,
  client: AbortSignal,
): Promise<Buffer | null> {
  try {
    const first = await pieces.next();
    return first.done === true ? null : first.value;
  } catch (error) {
    if (error instanceof TetherError && error.code === "not-valid") cache.forget(hashPart);
    if (!client.aborted) cache.log.warn({ path: info.path, reason: messageOf(error) }, "NAR not to be had");
    return null;
  }
}

/** The pieces, each watched while the client has it. */
async function* body(
  first: Buffer,
  rest: AsyncGenerator<Buffer, void, undefined>,
  { onGivenUp, watch }: { onGivenUp: (error: unknown) => void; watch: () => () => void },
): AsyncGenerator<Buffer, void, undefined> {
  const taken = function* (piece: Buffer): Generator<Buffer, void, undefined> {
    const stop = watch();
    try {
      yield piece;
    } finally {
      stop();
    }
  };
  try {
    yield* taken(first);
    for await (const piece of rest) yield* taken(piece);
  } catch (error) {
    onGivenUp(error);
    throw error;
  }
}

/** A client that takes nothing for too long loses its connection. */
function clientWatch({ limits }: ServedCache, response: ServerResponse): () => () => void {
  return () => {
    const timer = setTimeout(() => response.destroy(), limits.clientStallMs);
    return () => clearTimeout(timer);
  };
}

function writeNarHead(response: ServerResponse, info: PathInfo, from: number | null): void {
  const { narSize } = info;
  response.setHeader("content-type", "application/x-nix-nar");
  response.setHeader("accept-ranges", "bytes");
  response.setHeader("content-length", narSize - (from ?? 0));
  if (from !== null) response.setHeader("content-range", `bytes ${from}-${narSize - 1}/${narSize}`);
  response.writeHead(from === null ? 200 : 206);
}
