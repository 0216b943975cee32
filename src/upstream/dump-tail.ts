// The end of a NAR without its beginning: `nix-store --dump` on the machine itself, its first bytes dropped there. The
// worker protocol cannot begin in the middle, and over a link that dies every few MB the beginning would never end.

import { Transform, pipeline, type Readable, type TransformCallback } from "node:stream";
import type { Logger } from "pino";
import type { RemoteProgram } from "../link/link.js";
import type { PathInfo } from "../protocol/path-info.js";
import { isStorePath } from "../protocol/store-path.js";
import { TetherError, messageOf } from "../util/errors.js";

/**
 * Told before the first byte, by our command alone: a forced command or a chatty shell in its place says something
 * else, or nothing. In two parts, so that an echo of the command does not hold it.
 */
const marker = Buffer.from("nix-tether-tail\n");
const markerCommand = 'echo "nix-tether""-tail"';

/** Where nix-store may be that the PATH of a shell without login does not name, for one. */
const morePath =
  "$HOME/.nix-profile/bin:/nix/var/nix/profiles/default/bin:/run/current-system/sw/bin:/usr/bin:/bin";

const script =
  `PATH=$PATH:${morePath}; ` +
  `command -v nix-store >/dev/null && command -v tail >/dev/null || exit 127; ` +
  `${markerCommand}; nix-store --dump "$1" | tail -c "+$2"`;

/** The way to run a command, and how long it may keep still. */
export interface DumpTailDeps {
  readonly exec: (command: string) => Promise<RemoteProgram>;
  /** Time for the marker, in milliseconds. */
  readonly markerMs: number;
  /** Told the length of every piece that arrives. */
  readonly onBytes: (count: number) => void;
  readonly log: Logger;
}

/** Gives ends of NARs. */
export interface DumpTail {
  /**
   * The bytes of the NAR from `from` on, exactly so many, or an error on the stream; the last ones come when the program
   * has ended well. Null where the machine does not let us: that is remembered. Rejects with the signal's reason.
   */
  open(info: PathInfo, from: number, signal: AbortSignal): Promise<Readable | null>;
}

export function createDumpTail(deps: DumpTailDeps): DumpTail {
  let refused = false;
  const refuse = (why: string): void => {
    if (!refused) deps.log.debug({ why }, "NARs cannot be continued on the machine itself");
    refused = true;
  };

  return {
    open: async (info, from, signal) => {
      if (refused || !isStorePath(info.path)) return null;
      let program: RemoteProgram;
      try {
        program = await deps.exec(tailCommand(info.path, from));
      } catch (error) {
        // sshd may have no session left on this connection just now.
        deps.log.debug({ reason: messageOf(error) }, "no command could be run on the machine");
        return null;
      }
      const tail = new TailStream(info.narSize - from, program, deps.onBytes);
      pipeline(program, tail, (error) => {
        if (error instanceof TetherError && error.code === "tail-failed") refuse(error.message);
      });
      const marked = await tail.marked(deps.markerMs, signal);
      if (marked) return tail;
      signal.throwIfAborted();
      return null;
    },
  };
}

/** For any login shell: single quotes mean the same to all of them, and a store path holds none. */
function tailCommand(storePath: string, from: number): string {
  return `/bin/sh -c '${script}' sh '${storePath}' ${from + 1}`;
}

/** Takes the marker off, counts, and keeps the last bytes back until the program's exit code is known. */
class TailStream extends Transform {
  readonly #size: number;
  readonly #program: RemoteProgram;
  readonly #onBytes: (count: number) => void;
  #head: Buffer | null = Buffer.alloc(0);
  #at = 0;
  #last: Buffer | null = null;

  constructor(size: number, program: RemoteProgram, onBytes: (count: number) => void) {
    super({ highWaterMark: 256 * 1024 });
    this.#size = size;
    this.#program = program;
    this.#onBytes = onBytes;
    this.on("error", () => undefined);
  }

  /** Whether the marker came within `ms` milliseconds; otherwise the stream is destroyed. */
  marked(ms: number, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (marked: boolean): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", onAbort);
        this.off("marked", onMarked).off("close", onClose);
        resolve(marked);
      };
      const onMarked = (): void => settle(true);
      const onClose = (): void => settle(false);
      const onAbort = (): void => void this.destroy(signal.reason as Error);
      const timer = setTimeout(() => this.destroy(this.#failure(`no sign of life for ${ms} ms`)), ms);
      this.once("marked", onMarked).once("close", onClose);
      signal.addEventListener("abort", onAbort, { once: true });
      if (signal.aborted) onAbort();
    });
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    let piece = chunk;
    if (this.#head !== null) {
      const head = Buffer.concat([this.#head, chunk]);
      const begun = Math.min(head.length, marker.length);
      if (head.compare(marker, 0, begun, 0, begun) !== 0) return done(this.#failure("something else runs"));
      this.#head = head;
      if (head.length < marker.length) return done();
      this.#head = null;
      this.emit("marked");
      piece = head.subarray(marker.length);
    }
    this.#at += piece.length;
    this.#onBytes(piece.length);
    if (this.#at > this.#size) return done(this.#failure("its output is too long"));
    if (this.#at < this.#size) return done(null, piece);
    this.#last = this.#last === null ? piece : Buffer.concat([this.#last, piece]);
    done();
  }

  override _flush(done: TransformCallback): void {
    const { exitCode } = this.#program;
    if (this.#head !== null || this.#at < this.#size || this.#last === null || exitCode !== 0) {
      return done(this.#failure(`it ended after ${this.#at} of ${this.#size} bytes (exit code ${exitCode})`));
    }
    done(null, this.#last);
  }

  #failure(why: string): TetherError {
    const said = this.#program.stderrTail.trim();
    return new TetherError("tail-failed", `nix-store --dump: ${why}${said === "" ? "" : `: ${said}`}`);
  }
}
