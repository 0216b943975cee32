// One try at a NAR on one upstream: its bytes from an offset on, watched for stalls.

import type { Readable } from "node:stream";

import { fileOf, type OfferedPath } from "../protocol/offered-path.js";
import { seekBytesPerMs, type NarTail } from "../upstream/upstream.js";
import { TetherError } from "../util/errors.js";
import type { GatewayLimits } from "./limits.js";
import { abortable, type Session } from "./session.js";

/** What a try is made of. */
export interface NarRequest {
  readonly session: Session;
  readonly info: OfferedPath;
  /** The first byte wanted. */
  readonly from: number;
  readonly limits: GatewayLimits;
  /** A monotonic clock in milliseconds. */
  readonly now: () => number;
  /** Told when bytes came from the machine, also such as lie before `from`. */
  readonly onArrival: () => void;
}

/**
 * The bytes from `from` to the end. Throws as `Upstream.openNar` does and as its stream fails, with the reason for which
 * the session ended, or with code `stalled`, `nar-length` or `client-gone`. Whatever happens the upstream is let go of.
 */
export async function* transferNar(
  request: NarRequest,
  client: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  const { session, info, from, limits } = request;
  const calledOff = new AbortController();
  const { signal } = calledOff;
  const { size } = fileOf(info);
  const end = (reason: Error): void => calledOff.abort(reason);
  const onClientGone = (): void => end(new TetherError("client-gone", "the client went away"));
  const stopListening = session.onEnd(end);
  client.addEventListener("abort", onClientGone, { once: true });
  if (client.aborted) onClientGone();
  let stopWatch = watchStart(request, end);
  let source: Readable | null = null;
  try {
    const tail = await abortable(
      () => open(request, signal),
      signal,
      (late) => discard(late.stream),
    );
    source = watched(tail.stream, end, signal);
    const pieces = source[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>;
    let at = tail.begins;
    for (let next = await pieces.next(); next.done !== true; next = await pieces.next()) {
      stopWatch();
      session.progressed();
      request.onArrival();
      const piece = next.value.subarray(Math.max(0, Math.min(next.value.length, from - at)));
      at += next.value.length;
      if (at > size) throw wrongLength(info, at);
      if (piece.length > 0) yield piece;
      stopWatch = watch(limits.narStallMs, () => end(stalled(info, "no byte", limits.narStallMs)));
    }
    if (at !== size) throw wrongLength(info, at);
  } finally {
    stopWatch();
    stopListening();
    client.removeEventListener("abort", onClientGone);
    // A stream read to its end has given its connection back already.
    if (source?.readableEnded === false) source.destroy();
  }
}

async function open({ session, info, from }: NarRequest, signal: AbortSignal): Promise<NarTail> {
  const { upstream } = session;
  if (from > 0) return upstream.openNarFrom(info, from, signal);
  return { stream: await upstream.openNar(info, signal), begins: 0 };
}

/** Ends both with one another; known at once, also while the client keeps us from reading on. */
function watched(source: Readable, end: (reason: Error) => void, signal: AbortSignal): Readable {
  source.on("error", end);
  const onAbort = (): void => void source.destroy(signal.reason as Error);
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  return source;
}

/** A NAR may wait its turn for a connection: that is no stall while the others advance. */
function watchStart(request: NarRequest, end: (reason: Error) => void): () => void {
  const { session, info, from, limits, now } = request;
  const patience = Math.ceil(limits.narFirstByteMs + from / seekBytesPerMs);
  const watchSince = (since: number): (() => void) =>
    watch(Math.max(1, since + patience - now()), () => {
      if (session.lastProgress > since) stop = watchSince(session.lastProgress);
      else end(stalled(info, "no first byte", patience));
    });
  let stop = watchSince(now());
  return () => stop();
}

function watch(ms: number, onLate: () => void): () => void {
  const timer = setTimeout(onLate, ms);
  return () => clearTimeout(timer);
}

function stalled(info: OfferedPath, what: string, ms: number): Error {
  return new TetherError("stalled", `${info.path}: ${what} from the machine for ${ms} ms`);
}

function wrongLength(info: OfferedPath, length: number): Error {
  return new TetherError(
    "nar-length",
    `${info.path}: NAR of ${length} bytes instead of ${fileOf(info).size}`,
  );
}

function discard(stream: Readable): void {
  stream.on("error", () => undefined);
  stream.destroy();
}
