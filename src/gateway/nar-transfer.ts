// The body of one NAR response: bytes of an upstream's NAR from an offset on, watched for stalls on both sides.

import type { Readable } from "node:stream";

import type { PathInfo } from "../protocol/path-info.js";
import { TetherError } from "../util/errors.js";
import type { GatewayLimits } from "./limits.js";
import { abortable, type Session } from "./session.js";

/** What a transfer is made of. */
export interface NarRequest {
  readonly session: Session;
  readonly info: PathInfo;
  /** The first byte wanted; an upstream cannot seek, so what lies before is read and dropped. */
  readonly from: number;
  readonly limits: GatewayLimits;
  /** A monotonic clock in milliseconds. */
  readonly now: () => number;
  /** Told the length of each piece that the client took. */
  readonly onBytes: (count: number) => void;
}

/** A NAR whose first byte has arrived, so that a 200 can be promised. */
export interface NarTransfer {
  /** The bytes from `from` to the end; throws when the upstream breaks or somebody stalls. Read once. */
  bytes(): AsyncGenerator<Buffer, void, undefined>;
  /** Lets go of the upstream. Idempotent; to be called whatever happens. */
  release(): void;
  /** Why the upstream's side broke, or null while it is sound or only the client's side broke. */
  broken(): Error | null;
}

/** Asks for a NAR and waits for its first bytes. Rejects as `Upstream.openNar` does, or with code `stalled`. */
export async function openTransfer(request: NarRequest, client: AbortSignal): Promise<NarTransfer> {
  const { session, info, limits, now } = request;
  const calledOff = new AbortController();
  const { signal } = calledOff;
  let broken: Error | null = null;
  let source: Readable | null = null;
  let timer: NodeJS.Timeout | undefined;

  const stop = (reason: Error): void => {
    clearTimeout(timer);
    calledOff.abort(reason);
    // A stream read to its end has given its connection back already.
    if (source !== null && !source.readableEnded) source.destroy(reason);
  };
  const fail = (reason: Error): void => {
    if (signal.aborted) return;
    broken = reason;
    stop(reason);
  };
  const onClientGone = (): void => stop(new TetherError("client-gone", "the client went away"));
  const stopListening = session.onEnd(fail);
  client.addEventListener("abort", onClientGone, { once: true });
  const release = (): void => {
    stopListening();
    client.removeEventListener("abort", onClientGone);
    stop(new TetherError("released", "the transfer is over"));
  };

  const watch = (ms: number, onLate: (reason: Error) => void, what: string): void => {
    clearTimeout(timer);
    timer = setTimeout(() => onLate(new TetherError("stalled", `${info.path}: ${what} for ${ms} ms`)), ms);
  };
  const watchUpstream = (): void => watch(limits.narStallMs, fail, "no byte from the machine");
  const watchClient = (): void => watch(limits.clientStallMs, stop, "the client took nothing");
  // A NAR may wait its turn for a connection: that is no stall while the others advance.
  const watchStart = (since: number): void => {
    watch(
      Math.max(1, since + limits.narFirstByteMs - now()),
      (reason) => {
        if (session.lastProgress > since) watchStart(session.lastProgress);
        else fail(reason);
      },
      "no first byte from the machine",
    );
  };

  try {
    if (client.aborted) onClientGone();
    watchStart(now());
    source = await abortable(
      async () => session.upstream.openNar(info, signal),
      signal,
      (late) => discard(late),
    );
    // Known at once, also while the client keeps us from reading on.
    source.on("error", fail);
    const pieces = source[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>;
    const first = await abortable(() => pieces.next(), signal);
    if (first.done === true) throw wrongLength(info, 0);
    const pass = passOn(request, pieces, first, { watchUpstream, watchClient, fail });
    return { bytes: () => pass, release, broken: () => broken };
  } catch (error) {
    release();
    throw error;
  }
}

interface Watchdogs {
  watchUpstream(): void;
  watchClient(): void;
  fail(reason: Error): void;
}

async function* passOn(
  request: NarRequest,
  pieces: AsyncIterator<Buffer, undefined>,
  first: IteratorResult<Buffer, undefined>,
  dogs: Watchdogs,
): AsyncGenerator<Buffer, void, undefined> {
  const { session, info, from, onBytes } = request;
  let at = 0;
  try {
    for (let next = first; next.done !== true; next = await pieces.next()) {
      session.progressed();
      const piece = next.value.subarray(Math.max(0, Math.min(next.value.length, from - at)));
      at += next.value.length;
      if (at > info.narSize) throw wrongLength(info, at);
      if (piece.length > 0) {
        dogs.watchClient();
        yield piece;
        onBytes(piece.length);
      }
      dogs.watchUpstream();
    }
    if (at !== info.narSize) throw wrongLength(info, at);
  } catch (error) {
    dogs.fail(error as Error);
    throw error;
  }
}

function wrongLength(info: PathInfo, length: number): Error {
  return new TetherError("nar-length", `${info.path}: NAR of ${length} bytes instead of ${info.narSize}`);
}

function discard(stream: Readable): void {
  stream.on("error", () => undefined);
  stream.destroy();
}
