// Notices a link that has gone silent. Any byte that arrives proves it alive, so a slow transfer that delays the
// answers to keepalives is not mistaken for a dead one.

import type { Socket } from "node:net";

/** How often ssh2 asks sshd for an answer, in milliseconds. */
export const KEEPALIVE_MS = 2_500;

// With nothing heard for two whole intervals at least one question has gone unanswered for 2.5 s; the link is given
// up 5 to 7.5 s after its last byte. Counting ticks rather than time gives a link that slept with the laptop its chance.
const SILENT_TICKS = 2;

/** Calls `onDead` once when nothing has arrived for 5 to 7.5 s. Returns the function that stops watching. */
export function watchLiveness(socket: Pick<Socket, "bytesRead">, onDead: () => void): () => void {
  let heard = socket.bytesRead;
  let silent = 0;
  const timer = setInterval(() => {
    silent = socket.bytesRead === heard ? silent + 1 : 0;
    heard = socket.bytesRead;
    if (silent < SILENT_TICKS) return;
    clearInterval(timer);
    onDead();
  }, KEEPALIVE_MS);
  return () => clearInterval(timer);
}
