// One NAR on its way from a nix-daemon to a reader: checked, watched, and no faster than the reader takes it.

import { ProtocolError } from "../protocol/errors.js";
import { NarFraming, type NarStep } from "../protocol/nar.js";
import type { PathInfo } from "../protocol/path-info.js";
import type { WireReader } from "../protocol/reader.js";
import { readError } from "../protocol/stderr.js";
import { TetherError, messageOf } from "../util/errors.js";
import type { NarBytes } from "./upstream.js";

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
  /** Told the bytes, once the NAR has begun as it should. */
  readonly given: (bytes: NarBytes) => void;
  /** Told when they are let go of before the NAR's end: the connection is of no more use. */
  readonly onDestroy: (error: Error) => void;
}

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

  if (step.state !== "more") {
    given(wholeNar(early));
    return;
  }
  const arriving = new ArrivingNar(early, reception, framing);
  given(arriving);
  await arriving.received;
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

/** Nothing is behind these bytes any more. */
function wholeNar(pieces: readonly Buffer[]): NarBytes {
  const [first = Buffer.alloc(0)] = pieces;
  const whole = pieces.length === 1 ? first : Buffer.concat(pieces);
  return {
    async *[Symbol.asyncIterator]() {
      yield whole;
    },
    destroy: () => undefined,
  };
}

/** The connection is read from when its reader asks for more, and not before. */
class ArrivingNar implements NarBytes {
  /** Resolves when the last byte has come from the connection; rejects with what makes that unusable. */
  readonly received: Promise<void>;
  readonly #early: Buffer[];
  readonly #reception: NarReception;
  readonly #framing: NarFraming;
  #settle: { readonly resolve: () => void; readonly reject: (error: Error) => void } | null = null;
  #failure: Error | null = null;

  constructor(early: Buffer[], reception: NarReception, framing: NarFraming) {
    this.#early = early;
    this.#reception = reception;
    this.#framing = framing;
    this.received = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, undefined> {
    try {
      for (let piece = this.#early.shift(); piece !== undefined; piece = this.#early.shift()) {
        yield this.#orFail(piece);
      }
      for (;;) {
        const step = await nextStep(this.#reception, this.#framing);
        if (step.state !== "more") this.#end(null);
        for (const piece of step.bytes) yield this.#orFail(piece);
        if (step.state !== "more") return;
      }
    } catch (error) {
      this.#end(error as Error);
      throw this.#failure ?? error;
    } finally {
      this.destroy();
    }
  }

  destroy(error?: Error): void {
    if (this.#settle === null) return;
    const { info, onDestroy } = this.#reception;
    this.#failure = error ?? new TetherError("aborted", `${info.path}: nobody reads it any more`);
    onDestroy(this.#failure);
    this.#end(this.#failure);
  }

  #end(error: Error | null): void {
    const settle = this.#settle;
    this.#settle = null;
    if (error === null) settle?.resolve();
    else settle?.reject(error);
  }

  #orFail(piece: Buffer): Buffer {
    if (this.#failure !== null) throw this.#failure;
    return piece;
  }
}
