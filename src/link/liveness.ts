// Notices a link that has gone silent. Any byte that arrives proves it alive, so a slow transfer that delays the
// answers to keepalives is not mistaken for a dead one.

import type { Socket } from "node:net";

/** How long after the last byte ssh2 asks sshd for an answer, in milliseconds. */
export const KEEPALIVE_MS = 5_000;

/** How long that answer may take. */
const ANSWER_MS = 3_500;

/** A timer that is so late was held up with all else, as in a process that was stopped: then bytes may lie unread. */
const LATE_MS = 1_000;

/**
 * Calls `onDead` once when nothing has arrived for 8.5 s, so that a question has gone unanswered for 3.5 s at least. Returns
 * the function that stops watching. Timers stand still while the machine sleeps.
 */
export function watchLiveness(
  socket: Pick<Socket, "on" | "off">,
  onDead: () => void,
  now: () => number = () => performance.now(),
): () => void {
  let heardAt = now();
  let timer: NodeJS.Timeout;
  const onData = (): void => {
    heardAt = now();
  };
  const waitUntil = (until: number): void => {
    timer = setTimeout(() => check(until), until - now());
  };
  const check = (until: number): void => {
    const deadline = heardAt + KEEPALIVE_MS + ANSWER_MS;
    const late = now() - until > LATE_MS;
    if (deadline > now()) waitUntil(deadline);
    else if (late) waitUntil(now() + ANSWER_MS);
    else {
      stop();
      onDead();
    }
  };
  const stop = (): void => {
    clearTimeout(timer);
    socket.off("data", onData);
  };
  socket.on("data", onData);
  waitUntil(heardAt + KEEPALIVE_MS + ANSWER_MS);
  return stop;
}
