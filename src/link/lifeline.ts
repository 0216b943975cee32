// Holds a session that stands: notices its end by whatever cause, and tells the reason once.

import { TetherError } from "../util/errors.js";
import { brief } from "./brief.js";
import { watchLiveness } from "./liveness.js";
import type { Session } from "./session.js";

export interface Lifeline {
  /** Why the session has ended; null while it stands. */
  reason(): Error | null;
  /** Ends it at once. The first reason counts. */
  end(reason: Error): void;
  /** As `end`, for a link that is of no use any more. */
  lost(why: string): void;
  /** Says goodbye and ends it. Idempotent. */
  close(): void;
  /** Settles once, with the reason, when the connection has ended. Never rejects. */
  readonly closed: Promise<Error>;
  /**
   * Makes what it is for of a session that is new: while `work` goes on, the signal ends the session too, and so does a
   * `work` that fails. Rejects with the reason for which it has ended.
   */
  establish<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T>;
}

/** `onEnd` is called once, before anybody else hears of the end. `login` is `user@host`, for messages. */
export function holdSession(
  { client, socket }: Pick<Session, "client" | "socket">,
  login: string,
  onEnd: (reason: Error) => void,
): Lifeline {
  let reason: Error | null = null;
  const end = (why: Error): void => {
    stopWatching();
    if (reason === null) {
      reason = why;
      onEnd(why);
    }
    socket.destroy();
  };
  const lost = (why: string): void => end(new TetherError("link-lost", `the link to ${login} ended: ${why}`));
  const stopWatching = watchLiveness(socket, () => lost("it no longer answers"));
  client.on("error", (error) => lost(brief(error.message)));
  // Without this a half-closed socket would wait for what it still has to send.
  socket.on("end", () => lost("it closed the connection"));
  const closed = new Promise<Error>((resolve) => {
    const onClose = (): void => {
      lost("the connection closed");
      resolve(reason ?? new Error("closed"));
    };
    if (socket.closed) onClose();
    else socket.on("close", onClose);
  });
  return {
    reason: () => reason,
    end,
    lost,
    close: () => {
      // Tells sshd goodbye; `destroy` follows because `end` alone waits for a dead peer.
      if (reason === null) client.end();
      end(new TetherError("link-closed", `the link to ${login} was closed here`));
    },
    closed,
    establish: async (signal, work) => {
      const onAbort = (): void => end(signal.reason as Error);
      signal.addEventListener("abort", onAbort, { once: true });
      try {
        signal.throwIfAborted();
        const result = await Promise.race([work(), closed.then((why) => Promise.reject(why))]);
        if (reason !== null) throw reason as Error;
        return result;
      } catch (error) {
        end(error as Error);
        throw reason ?? error;
      } finally {
        signal.removeEventListener("abort", onAbort);
      }
    },
  };
}
