// Whether a cache's upstream is in reach, and for how long its return is waited for: what requests wait on while the link
// to the machine is being found again.

import type { Upstream } from "../upstream/upstream.js";
import { TetherError } from "../util/errors.js";
import { beginSession, type Session } from "./session.js";

/** All times are milliseconds of one monotonic clock. */
export class Reach {
  readonly #resumeMs: number;
  readonly #now: () => number;
  readonly #watchers = new Set<() => void>();
  #session: Session | null = null;
  #lostAt = -Infinity;
  #awaySince: number;
  #returnBy: number;
  #closed = false;

  /** Begins without an upstream, one being waited for: after a restart in the middle of a build it comes in a moment. */
  constructor(options: { resumeMs: number; now: () => number }) {
    this.#resumeMs = options.resumeMs;
    this.#now = options.now;
    this.#awaySince = options.now();
    this.#returnBy = this.#awaySince + options.resumeMs;
  }

  /** The upstream in use, or null while the cache is away. */
  get session(): Session | null {
    return this.#session;
  }

  /** When the last upstream was taken away. */
  get lostAt(): number {
    return this.#lostAt;
  }

  /** When the last upstream was taken away, or since when there was none at all. */
  get awaySince(): number {
    return this.#awaySince;
  }

  /** A new upstream, or none: `mayReturn` tells whether another one is worth waiting for. */
  set(upstream: Upstream | null, mayReturn: boolean): void {
    const old = this.#session;
    if (upstream === null) {
      if (old !== null) this.#awaySince = this.#lostAt = this.#now();
      if (old !== null && !this.#closed) this.#returnBy = this.#lostAt + this.#resumeMs;
      if (!mayReturn) this.#returnBy = -Infinity;
      this.#session = null;
    } else if (old?.upstream !== upstream) {
      this.#session = beginSession(upstream, this.#now);
    }
    if (old !== this.#session) old?.end(new TetherError("upstream-lost", "the cache went away"));
    this.#tell();
  }

  /** Nobody waits any more, now and later. */
  close(): void {
    this.#closed = true;
    this.#returnBy = -Infinity;
    this.#tell();
  }

  /** The session; where there is none, the next one, or null when none is to be expected, at `until` at the latest. */
  async arrival(until: number, signal?: AbortSignal): Promise<Session | null> {
    for (;;) {
      const end = Math.min(until, this.#returnBy);
      if (this.#session !== null || this.#now() >= end || signal?.aborted === true) return this.#session;
      await this.change(null, end, signal);
    }
  }

  /** Resolves when the session may be another than `known`, or may not come any more; at `until`; or when aborted. */
  change(known: Session | null, until: number, signal?: AbortSignal): Promise<void> {
    const left = until - this.#now();
    if (this.#session !== known || left <= 0 || signal?.aborted === true) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#watchers.delete(wake);
        signal?.removeEventListener("abort", wake);
        resolve();
      };
      const timer = setTimeout(wake, Math.ceil(left));
      this.#watchers.add(wake);
      signal?.addEventListener("abort", wake, { once: true });
    });
  }

  #tell(): void {
    for (const wake of this.#watchers) wake();
  }
}
