// One try at a NAR on one upstream: its bytes from an offset on, watched for stalls.

import { fileOf, type OfferedPath } from "../protocol/offered-path.js";
import { seekBytesPerMs, type NarBytes, type NarTail } from "../upstream/upstream.js";
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
  /** Whether another NAR may be waiting for this one's connection. */
  readonly othersWait: () => boolean;
}

/**
 * The bytes from `from` to the end. Throws as `Upstream.openNar` does and as its stream fails, with the reason for which
 * the session ended, or with code `stalled`, `nar-length`, `client-idle` or `client-gone`. Whatever happens the upstream is
 * let go of.
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
  let at = 0;
  // Others may wait for the connection, and what has arrived of this NAR takes memory. But a machine that can not begin in
  // the middle would send all of it again.
  const onIdle = (): void => {
    if (at <= limits.repeatableBytes || request.othersWait()) end(idle(info, limits.clientIdleMs));
    else stopWatch = watch(limits.clientIdleMs, onIdle);
  };
  let source: Source | null = null;
  try {
    source = await openSource(request, signal);
    at = source.begins;
    for (let bytes = await source.next(); bytes !== null; bytes = await source.next()) {
      stopWatch();
      session.progressed();
      request.onArrival();
      const piece = bytes.subarray(Math.max(0, Math.min(bytes.length, from - at)));
      at += bytes.length;
      if (at > size) throw wrongLength(info, at);
      if (piece.length > 0) {
        stopWatch = watch(limits.clientIdleMs, onIdle);
        yield piece;
        stopWatch();
      }
      stopWatch = watch(limits.narStallMs, () => end(stalled(info, "no byte", limits.narStallMs)));
    }
    if (at !== size) throw wrongLength(info, at);
  } finally {
    stopWatch();
    stopListening();
    client.removeEventListener("abort", onClientGone);
    source?.close();
  }
}

/** What is read from. A signal that comes too late for the stream closes it. */
async function openSource(request: NarRequest, signal: AbortSignal): Promise<Source> {
  const opened = await abortable(
    () => open(request, signal),
    signal,
    (late) => late.stream.destroy(),
  );
  return new Source(opened, signal);
}

async function open({ session, info, from }: NarRequest, signal: AbortSignal): Promise<NarTail> {
  const { upstream } = session;
  if (from > 0) return upstream.openNarFrom(info, from, signal);
  return { stream: await upstream.openNar(info, signal), begins: 0 };
}

/** The bytes of one try. It ends with the signal, also while nobody reads. */
class Source {
  readonly begins: number;
  readonly #signal: AbortSignal;
  /** Null once it was closed: who stands still in the middle of a transfer then holds nothing of it. */
  #bytes: NarBytes | null;
  #pieces: AsyncIterator<Buffer> | null;

  constructor({ stream, begins }: NarTail, signal: AbortSignal) {
    this.begins = begins;
    this.#bytes = stream;
    this.#signal = signal;
    this.#pieces = stream[Symbol.asyncIterator]();
    signal.addEventListener("abort", this.#onAbort, { once: true });
    if (signal.aborted) this.#onAbort();
  }

  /** The next bytes, or null at the end. Rejects as the bytes end, or with the signal's reason. */
  async next(): Promise<Buffer | null> {
    if (this.#pieces === null) throw this.#signal.reason as Error;
    const next = await this.#pieces.next();
    return next.done === true ? null : next.value;
  }

  /** Bytes that were read to their end have given their connection back already. */
  close(): void {
    this.#signal.removeEventListener("abort", this.#onAbort);
    this.#bytes?.destroy();
    this.#bytes = this.#pieces = null;
  }

  readonly #onAbort = (): void => {
    this.#bytes?.destroy(this.#signal.reason as Error);
    this.#bytes = this.#pieces = null;
  };
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

function idle(info: OfferedPath, ms: number): Error {
  return new TetherError("client-idle", `${info.path}: the client took nothing for ${ms} ms`);
}

function wrongLength(info: OfferedPath, length: number): Error {
  return new TetherError(
    "nar-length",
    `${info.path}: NAR of ${length} bytes instead of ${fileOf(info).size}`,
  );
}
