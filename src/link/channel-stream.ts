// An ssh2 channel as a stream that keeps Node's promises: destroying it closes the channel, a write after the far side
// has closed fails, and when the link dies it fails too. ssh2's own streams swallow such writes.

import { Duplex } from "node:stream";
import type { ClientChannel } from "ssh2";
import { ChannelWindow, type SessionWindows } from "./channel-window.js";

// Room for a few of SSH's 32 KiB packets, in each direction.
const AHEAD_BYTES = 256 * 1024;

type WriteDone = (error?: Error | null) => void;

// Enough for the message of a program that could not start.
const MAX_STDERR_CHARS = 1_000;

export interface ChannelStreamOptions {
  /** What can be read ends when the program has, and not when it closes its stdout. */
  readonly endsWithExit?: boolean;
}

/** Takes the channel over, its stderr included. */
export class ChannelStream extends Duplex {
  readonly #channel: ClientChannel;
  readonly #window: ChannelWindow;
  #exitCode: number | null = null;
  #pendingWrite: WriteDone | null = null;
  #closed = false;
  #stderr = "";

  /** `windows` is that of the channel's session. */
  constructor(
    channel: ClientChannel,
    windows: SessionWindows,
    { endsWithExit = false }: ChannelStreamOptions = {},
  ) {
    super({ highWaterMark: AHEAD_BYTES });
    this.#channel = channel;
    this.#window = new ChannelWindow(channel, windows);
    channel.on("error", (error: Error) => this.destroy(error));
    channel.on("data", (chunk: Buffer) => {
      this.#window.took(chunk.length);
      if (this.push(chunk)) this.#window.open();
      else channel.pause();
    });
    channel.on("exit", (code: number | null) => (this.#exitCode = code));
    channel.on(endsWithExit ? "close" : "end", () => this.push(null));
    channel.on("close", () => this.#onClose());
    channel.stderr.on("error", () => undefined);
    channel.stderr.on("data", (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString("utf8")).slice(-MAX_STDERR_CHARS);
    });
  }

  /** The end of what the far program has written to its stderr. */
  get stderrTail(): string {
    return this.#stderr;
  }

  /** The far program's exit code; null while it runs, when a signal ended it, or when the link was lost. */
  get exitCode(): number | null {
    return this.#exitCode;
  }

  override _read(): void {
    this.#window.open();
    this.#channel.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: WriteDone): void {
    if (this.#closed) {
      done(closedError());
      return;
    }
    this.#pendingWrite = done;
    this.#channel.write(chunk, (error) => this.#finishWrite(error));
  }

  override _final(done: WriteDone): void {
    this.#channel.end();
    done();
  }

  override _destroy(error: Error | null, done: WriteDone): void {
    this.#finishWrite(error ?? closedError());
    // What still arrives is thrown away until sshd has confirmed the close.
    this.#channel.removeAllListeners("data");
    this.#window.close();
    this.#channel.resume();
    this.#channel.close();
    done(error);
  }

  #onClose(): void {
    this.#closed = true;
    this.#finishWrite(closedError());
    // Nobody can write any more; what was received can still be read.
    if (!this.writableEnded) this.end();
  }

  #finishWrite(error: Error | null | undefined): void {
    const done = this.#pendingWrite;
    this.#pendingWrite = null;
    done?.(error);
  }
}

function closedError(): Error {
  return Object.assign(new Error("the far side closed the channel"), { code: "EPIPE" });
}
