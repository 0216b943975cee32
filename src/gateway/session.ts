// One upstream for as long as it is set: its running lookups and transfers end, at once, when it is taken away.

import { narinfoProblem } from "../protocol/narinfo.js";
import type { OfferedPath } from "../protocol/offered-path.js";
import { parseStorePath } from "../protocol/store-path.js";
import type { Upstream } from "../upstream/upstream.js";
import { TetherError, messageOf } from "../util/errors.js";
import { watchPatiently, type Patience } from "../util/patience.js";

/** What asking the upstream for a path came to. `failed` says nothing about whether the path exists. */
export type Answer =
  | { readonly kind: "found"; readonly info: OfferedPath }
  | { readonly kind: "absent" }
  | { readonly kind: "failed"; readonly reason: string };

/** An upstream in use. */
export interface Session {
  readonly upstream: Upstream;
  /**
   * Asks for a path; lookups of the same path that run at the same time are one. Never rejects. Bytes of NARs are signs of
   * life: the link is busy then, not dead, and Nix remembers a 404 for an hour.
   */
  ask(hashPart: string, patience: Patience): Promise<Answer>;
  /** Calls `onEnd` once when the session ends (at once if it has); the result stops that. */
  onEnd(onEnd: (reason: Error) => void): () => void;
  /** When a byte of any NAR last came, by the session's clock. */
  readonly lastProgress: number;
  /** Bytes of a NAR came. */
  progressed(): void;
  end(reason: Error): void;
}

/**
 * Begins to use `upstream`. Whoever gave it closes it; the session only lets go of it. `now` is a monotonic clock
 * in milliseconds.
 */
export function beginSession(upstream: Upstream, now: () => number): Session {
  const running = new Map<string, Promise<Answer>>();
  const endings = new Set<(reason: Error) => void>();
  let ended: Error | null = null;
  let lastProgress = -Infinity;

  const session: Session = {
    upstream,
    get lastProgress() {
      return lastProgress;
    },
    progressed() {
      lastProgress = now();
    },
    ask(hashPart, patience) {
      if (ended === null && upstream.isAbsent?.(hashPart) === true)
        return Promise.resolve({ kind: "absent" });
      const shared = running.get(hashPart);
      if (shared !== undefined) return shared;
      const answer = askOnce(session, hashPart, patience, now).finally(() => running.delete(hashPart));
      running.set(hashPart, answer);
      return answer;
    },
    onEnd(onEnd) {
      if (ended !== null) {
        onEnd(ended);
        return () => undefined;
      }
      endings.add(onEnd);
      return () => endings.delete(onEnd);
    },
    end(reason) {
      if (ended !== null) return;
      ended = reason;
      for (const onEnd of endings) onEnd(reason);
      endings.clear();
    },
  };
  return session;
}

async function askOnce(
  session: Session,
  hashPart: string,
  patience: Patience,
  now: () => number,
): Promise<Answer> {
  const calledOff = new AbortController();
  const lastSign = (): number => Math.max(session.lastProgress, session.upstream.lastByteAt ?? -Infinity);
  const clock = { now, lastSign };
  const stopWatch = watchPatiently(patience, clock, (elapsed) =>
    calledOff.abort(new TetherError("timeout", `no answer within ${Math.round(elapsed)} ms`)),
  );
  const release = session.onEnd((reason) => calledOff.abort(reason));
  try {
    const info = await abortable(
      async () => session.upstream.queryByHashPart(hashPart, calledOff.signal),
      calledOff.signal,
    );
    return judge(info, hashPart);
  } catch (error) {
    return { kind: "failed", reason: messageOf(error) };
  } finally {
    stopWatch();
    release();
  }
}

/** An answer that cannot be passed on is no answer: the path may be fine once its machine is. */
function judge(info: OfferedPath | null, hashPart: string): Answer {
  if (info === null) return { kind: "absent" };
  const problem = narinfoProblem(info);
  if (problem !== null) return { kind: "failed", reason: `${hashPart}: ${problem}` };
  if (parseStorePath(info.path)?.hashPart !== hashPart) {
    return { kind: "failed", reason: `${hashPart}: another path was answered` };
  }
  return { kind: "found", info };
}

/**
 * The result of `work`, or a rejection with the signal's reason as soon as it is aborted, even if the work
 * pays no heed to it. `tooLate` takes what arrives after that.
 */
export function abortable<T>(
  work: () => Promise<T>,
  signal: AbortSignal,
  tooLate: (value: T) => void = () => undefined,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener("abort", onAbort, { once: true });
    work().then(
      (value) => {
        signal.removeEventListener("abort", onAbort);
        if (signal.aborted) tooLate(value);
        else resolve(value);
      },
      (error: unknown) => {
        signal.removeEventListener("abort", onAbort);
        reject(error as Error);
      },
    );
  });
}
