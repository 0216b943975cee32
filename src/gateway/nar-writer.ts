// Writes the body of an answer no faster than its client takes it, in larger pieces than SSH's packets of 32 KiB.

import type { ServerResponse } from "node:http";
import { TetherError } from "../util/errors.js";
import { gather, release } from "../util/gather.js";

/** What is written at once, if so much comes within one turn of the event loop; more than that waits here for no client. */
const gatheredBytes = 128 * 1024;

/** The body of one answer. */
export class NarWriter {
  readonly #response: ServerResponse;
  readonly #stallMs: number;

  /** A client that takes nothing for `stallMs` milliseconds loses its connection. */
  constructor(response: ServerResponse, stallMs: number) {
    this.#response = response;
    this.#stallMs = stallMs;
  }

  /** Resolves when there is room for more. Rejects with code `client-gone`. */
  async write(piece: Buffer): Promise<void> {
    const response = this.#response;
    if (response.destroyed) throw clientGone();
    gather(response);
    response.write(piece);
    if (response.writableLength < gatheredBytes) return;
    release(response);
    if (response.writableLength >= gatheredBytes) await this.#untilTaken("drain");
  }

  /** Resolves when the client's kernel has all of it. Rejects with code `client-gone`. */
  async end(last?: Buffer): Promise<void> {
    release(this.#response);
    const taken = this.#untilTaken("close");
    this.#response.end(last);
    await taken;
    if (!this.#response.writableFinished) throw clientGone();
  }

  /** Until the client has taken what was written, or has gone. */
  async #untilTaken(event: "drain" | "close"): Promise<void> {
    const response = this.#response;
    if (response.destroyed) return;
    await new Promise<void>((resolve) => {
      const settle = (): void => {
        clearTimeout(timer);
        response.off(event, settle).off("close", settle);
        resolve();
      };
      const timer = setTimeout(() => response.destroy(), this.#stallMs);
      response.once(event, settle).once("close", settle);
    });
  }
}

/** Why nothing more is sent to a client that has left. */
export function clientGone(): TetherError {
  return new TetherError("client-gone", "the client went away");
}
