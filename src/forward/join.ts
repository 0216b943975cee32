// Joins two byte streams, each of which may end its own direction first; when one dies, so does the other.

import type { Duplex } from "node:stream";

/**
 * Passes bytes both ways, with back-pressure, until both streams have closed. An end on one side becomes an end on
 * the other. Resolves when both are done with; never rejects.
 */
export async function joinStreams(left: Duplex, right: Duplex): Promise<void> {
  const closed = Promise.all([follow(left, right), follow(right, left)]);
  left.pipe(right);
  right.pipe(left);
  await closed;
}

/** Resolves when `stream` has closed; by then its partner is on its way there too. */
function follow(stream: Duplex, partner: Duplex): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed) partner.destroy();
    stream.on("error", () => {
      stream.destroy();
      partner.destroy();
    });
    stream.once("close", () => {
      finish(stream, partner);
      resolve();
    });
    if (stream.closed) {
      finish(stream, partner);
      resolve();
    }
  });
}

/** What a stream said before it closed in good order is still delivered; after that its partner has no purpose. */
function finish(stream: Duplex, partner: Duplex): void {
  if (!stream.readableEnded || partner.writableFinished) partner.destroy();
  else partner.end().once("finish", () => partner.destroy());
}
