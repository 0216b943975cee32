// The answer to a request for a NAR: 404, or one unbroken run of bytes; a closed connection when that is given up.

import type { IncomingMessage, ServerResponse } from "node:http";

import { fileOf, type OfferedPath } from "../protocol/offered-path.js";
import { TetherError, messageOf } from "../util/errors.js";
import { sendNotFound } from "./answers.js";
import { deliverNar } from "./nar-delivery.js";
import { NarWriter, clientGone } from "./nar-writer.js";
import type { Outcome } from "./recent-answers.js";
import { parseRangeStart, type Route } from "./routes.js";
import type { ServedCache } from "./served-cache.js";
import type { Transfer } from "./transfer.js";

type NarRoute = Extract<Route, { kind: "nar" }>;

/** A NAR whose first bytes have come. */
interface Delivery {
  readonly transfer: Transfer;
  readonly first: Buffer;
  readonly pieces: AsyncGenerator<Buffer, void, undefined>;
  /** See `narUrl`. */
  readonly nar: string;
}

/** Rejects when the response had to be cut. */
export async function answerNar(
  cache: ServedCache,
  route: NarRoute,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { hashPart, nar } = route;
  const notHere = (outcome: Outcome, size = 0): void => {
    cache.recent.add(hashPart, { outcome, generation: null, unsigned: false, bytes: 0, size });
    sendNotFound(response);
  };
  if (cache.tombstones.has(nar)) return notHere("cut-before");
  const client = new AbortController();
  response.once("close", () => {
    // An answer that is out needs nobody told.
    if (!response.writableFinished) client.abort(clientGone());
  });
  if (response.destroyed) return;
  const info = await findNar(cache, route, client.signal);
  if (info === null) return notHere(cache.session === null ? "nar-away" : "nar-absent");
  if (request.method === "HEAD") {
    writeNarHead(response, info, null);
    response.end();
    return;
  }
  const { size } = fileOf(info);
  const from = parseRangeStart(request.headers.range);
  if (from !== null && from >= size) return sendNotFound(response);

  const at = from ?? 0;
  const transfer: Transfer = { info, hashPart, from: at, since: cache.wallNow(), at, waiting: false };
  cache.transfers.add(transfer);
  try {
    const pieces = deliverNar(cache, transfer, client.signal);
    const first = await begin(cache, info, hashPart, pieces, client.signal);
    if (first === null) {
      const why = cache.session === null ? "nar-away" : "nar-failed";
      return notHere(client.signal.aborted ? "left" : why, size);
    }
    writeNarHead(response, info, from);
    await deliver(cache, { transfer, first, pieces, nar }, client.signal, response);
  } finally {
    cache.transfers.delete(transfer);
  }
}

/** Writes the body. Rejects when it had to be cut. */
async function deliver(
  cache: ServedCache,
  delivery: Delivery,
  client: AbortSignal,
  response: ServerResponse,
): Promise<void> {
  const { transfer, pieces, nar } = delivery;
  const { info, from } = transfer;
  let outcome: Outcome = "left";
  const onGivenUp = (error: unknown): void => {
    if (client.aborted) return;
    outcome = "cut";
    cache.stats.abandoned += 1;
    // Nix asks again with a Range within a second: the tombstone answers that with 404, which ends it well.
    cache.tombstones.add(nar);
    cache.log.warn({ path: info.path, reason: messageOf(error) }, "NAR given up");
  };
  try {
    await send(cache, delivery, onGivenUp, response);
    outcome = "sent";
  } finally {
    // With a response that had closed already the body never began.
    await pieces.return();
    const bytes = transfer.at - from;
    cache.recent.add(transfer.hashPart, {
      outcome,
      generation: null,
      unsigned: false,
      bytes,
      size: fileOf(info).size,
    });
  }
}

/** The path, once there is an upstream to take it from, or null for "not here". */
async function findNar(
  cache: ServedCache,
  route: NarRoute,
  client: AbortSignal,
): Promise<OfferedPath | null> {
  const { reach, limits, now } = cache;
  const until = now() + limits.resumeMs;
  for (;;) {
    const session = await reach.arrival(until, client);
    if (session === null) return null;
    const info = await cache.narPath(route.hashPart, route.nar);
    // Where the upstream went away meanwhile, "not here" would be rash.
    if (info !== null || reach.session === session || now() >= until) return info;
  }
}

/** The first bytes, so that a 200 can be promised, or null for "not here". */
async function begin(
  cache: ServedCache,
  info: OfferedPath,
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

/** Rejects when the client has gone, or with why there is no more to send. */
async function send(
  cache: ServedCache,
  { first, pieces, transfer }: Delivery,
  onGivenUp: (error: unknown) => void,
  response: ServerResponse,
): Promise<void> {
  const writer = new NarWriter(response, cache.limits.clientStallMs);
  // Most NARs are one piece, and one write with its head. That nothing follows is known before the client asks for the next.
  const whole = first.length === fileOf(transfer.info).size - transfer.from;
  try {
    if (!whole) await writer.write(first);
    for (let next = await pieces.next(); next.done !== true; next = await pieces.next()) {
      await writer.write(next.value);
    }
  } catch (error) {
    onGivenUp(error);
    response.destroy();
    throw error;
  }
  await (whole ? writer.end(first) : writer.end());
}

function writeNarHead(response: ServerResponse, info: OfferedPath, from: number | null): void {
  const { size } = fileOf(info);
  response.setHeader("content-type", "application/x-nix-nar");
  response.setHeader("accept-ranges", "bytes");
  response.setHeader("content-length", size - (from ?? 0));
  if (from !== null) response.setHeader("content-range", `bytes ${from}-${size - 1}/${size}`);
  response.writeHead(from === null ? 200 : 206);
}
