// The body of a NAR's file on its way: counted, and watched for stalls while its reader is willing.

import type { IncomingMessage } from "node:http";
import { pipeline, Transform, type TransformCallback } from "node:stream";

export interface FileWatch {
  /** After this many milliseconds without a byte although the reader is willing, `onStall` is told, again and again. */
  readonly stallMs: number;
  readonly onStall: () => void;
  readonly onBytes: (count: number) => void;
  /** Told once, when it is over in whatever way. */
  readonly onEnd: () => void;
}

/** Takes `body` over. Fails when it is cut; destroying it ends the connection behind it, unless all has come. */
export function fileStream(body: IncomingMessage, watch: FileWatch): Transform {
  let last = performance.now();
  const stream = new Transform({
    transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback) {
      last = performance.now();
      watch.onBytes(chunk.length);
      done(null, chunk);
    },
  });
  // A reader that has not come to listen yet finds the error when it reads.
  stream.on("error", () => undefined);
  const timer = setInterval(() => {
    const willing = stream.readableLength === 0;
    if (willing && performance.now() - last >= watch.stallMs) watch.onStall();
  }, watch.stallMs / 3);
  pipeline(body, stream, () => {
    clearInterval(timer);
    watch.onEnd();
  });
  return stream;
}
