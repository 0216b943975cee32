// One NAR on its way from a nix-daemon to a reader: checked, watched, and no faster than the reader takes it.

import { Readable } from "node:stream";
import { ProtocolError } from "../protocol/errors.js";
import { NarFraming, type NarStep } from "../protocol/nar.js";
import type { PathInfo } from "../protocol/path-info.js";
import type { WireReader } from "../protocol/reader.js";
import { readError } from "../protocol/stderr.js";
import { TetherError, messageOf } from "../util/errors.js";

/** How a NAR is watched. */
export interface NarWatch {
  /** No byte from the daemon for so many milliseconds while the reader is willing: `stalled`. */
  readonly stallMs: number;
  /** A NAR up to this many bytes is received whole before it is given. */
  readonly wholeNarBytes: number;
  /** Told the length of every piece that arrives. */
  readonly onBytes: (count: number) => void;
}

/** What `receiveNar` works with. */
export interface NarReception {
  readonly reader: WireReader;
  readonly protocol: number;
  readonly info: PathInfo;
  readonly watch: NarWatch;
  /** Told the stream, once the NAR has begun as it should. */
  readonly given: (stream: Readable) => void;
  /** Told when the stream is destroyed before the NAR's end: the connection is of no more use. */
  readonly onDestroy: (error: Error | null) => void;
}

/** Enough for a reader to find the next bytes ready, little enough for 16 of them on a small machine. */
const highWaterMark = 256 * 1024;

/** The store cannot give this path: it is not there, or not whole. */
export function notValid(info: PathInfo, cause: unknown): TetherError {
  return new TetherError("not-valid", `${info.path}: ${messageOf(cause)}`, { cause });
}

/**
 * Receives what follows STDERR_LAST in the answer to NarFromPath and resolves when the NAR is complete. Rejects
 * with what makes the connection unusable; before the stream was given, trouble with the path is `not-valid`.
 */
export async function receiveNar(reception: NarReception): Promise<void> {
  const { info, watch, given } = reception;
  const framing = new NarFraming(info.narSize);
  const early: Buffer[] = [];
  let step: NarStep;
  try {
    do {
      step = await nextStep(reception, framing);
      early.push(...step.bytes);
    } while (step.state === "more" && (!framing.begun || info.narSize <= watch.wholeNarBytes));
  } catch (error) {
    throw isDamage(error) ? notValid(info, error) : error;
  }

  const stream = new NarStream(reception.onDestroy);
  for (const piece of early) stream.pushPiece(piece);
  given(stream);
  while (step.state === "more") {
    if (stream.full) await stream.drained();
    if (stream.destroyed) throw new TetherError("aborted", `${info.path}: nobody reads it any more`);
    step = await nextStep(reception, framing);
    for (const piece of step.bytes) stream.pushPiece(piece);
  }
  stream.complete();
}

async function nextStep(reception: NarReception, framing: NarFraming): Promise<NarStep> {
  const { reader, info, watch } = reception;
  const chunk = await watchedChunk(reader, watch.stallMs, info);
  watch.onBytes(chunk.length);
  const step = framing.feed(chunk);
  reader.unshift(step.rest);
  if (step.state !== "error") return step;
  await reader.u64();
  const cause = await readError(reader, reception.protocol);
  throw new ProtocolError("nar-damaged", `the nix-daemon could not read it: ${cause.message}`, { cause });
}

async function watchedChunk(reader: WireReader, ms: number, info: PathInfo): Promise<Buffer> {
  if (reader.buffered > 0) return reader.chunk();
  let waiting = true;
  const onLate = (): void => {
    if (waiting)
      reader.fail(new TetherError("stalled", `${info.path}: no byte from the nix-daemon for ${ms} ms`));
  };
  // When this process itself was held up, bytes may lie ready: they are read before the immediate runs.
  const timer = setTimeout(() => setImmediate(onLate), ms);
  try {
    return await reader.chunk();
  } finally {
    waiting = false;
    clearTimeout(timer);
  }
}

function isDamage(error: unknown): boolean {
  return error instanceof ProtocolError && error.code === "nar-damaged";
}

class NarStream extends Readable {
  readonly #onDestroy: (error: Error | null) => void;
  #full = false;
  #completed = false;
  #wake: (() => void) | null = null;

  constructor(onDestroy: (error: Error | null) => void) {
    super({ highWaterMark });
    this.#onDestroy = onDestroy;
    // A reader that has not come to listen yet finds the error when it reads.
    this.on("error", () => undefined);
  }

  /** Whether the reader has more waiting than it needs. */
  get full(): boolean {
    return this.#full;
  }

  /** Resolves when the reader wants more, or is gone. */
  drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  pushPiece(piece: Buffer): void {
    this.#full = !this.push(piece);
  }

  complete(): void {
    this.#completed = true;
    this.push(null);
  }

  override _read(): void {
    this.#full = false;
    this.#wakeUp();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.#completed) this.#onDestroy(error);
    this.#full = false;
    this.#wakeUp();
    done(error);
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}
