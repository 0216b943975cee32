// One cache as its clients see it: the present upstream, what it told before, and what is gone for now.

import type { Logger } from "pino";

import type { OfferedPath } from "../protocol/offered-path.js";
import type { PathInfo } from "../protocol/path-info.js";
import type { Upstream } from "../upstream/upstream.js";
import { lookupPatience, type GatewayLimits } from "./limits.js";
import { createNarinfoMemory, type NarinfoMemory } from "./narinfo-memory.js";
import { Reach } from "./reach.js";
import { narUrl } from "./routes.js";
import { createRecentAnswers, type RecentAnswers } from "./recent-answers.js";
import type { Answer, Session } from "./session.js";
import { createTombstones, type Tombstones } from "./tombstones.js";
import type { Transfer } from "./transfer.js";

/** Counts since the gateway was opened. */
export interface GatewayStats {
  /** Narinfo requests answered by asking the upstream or from memory. */
  lookups: number;
  /** Narinfo requests answered 200. */
  hits: number;
  /** Bytes of NARs passed on. */
  narBytes: number;
  /** NARs that went on from where an earlier transfer had been cut. */
  resumed: number;
  /** NARs that broke and were given up. */
  abandoned: number;
  /** Distinct paths told without signature and content address: Nix ignores these. */
  unsigned: number;
}

/** What is told of a path, and why. */
export type Told =
  | { readonly outcome: "told" | "told-from-memory"; readonly info: OfferedPath }
  | { readonly outcome: "absent" | "away" | "failed"; readonly info: null };

const away: Told = { outcome: "away", info: null };
const absent: Told = { outcome: "absent", info: null };
const failed: Told = { outcome: "failed", info: null };

/** Beyond this many distinct unsigned paths the exact number tells nobody more. */
const mostUnsigned = 100_000;

/** Of many paths that are there, so many unfit ones in a row are reason enough to stop. */
const mostTried = 20;

/** What the gateway holds of one cache. */
export class ServedCache {
  readonly priority: number;
  readonly stats: GatewayStats = {
    lookups: 0,
    hits: 0,
    narBytes: 0,
    resumed: 0,
    abandoned: 0,
    unsigned: 0,
  };
  readonly tombstones: Tombstones;
  readonly recent: RecentAnswers;
  readonly transfers = new Set<Transfer>();
  readonly reach: Reach;
  readonly log: Logger;
  readonly limits: GatewayLimits;
  readonly now: () => number;
  readonly wallNow: () => number;
  readonly #memory: NarinfoMemory;
  readonly #unsigned = new Set<string>();

  /** `now` is a monotonic clock in milliseconds, `wallNow` tells milliseconds since the epoch. */
  constructor(options: {
    priority: number;
    limits: GatewayLimits;
    now: () => number;
    wallNow: () => number;
    log: Logger;
  }) {
    this.priority = options.priority;
    this.limits = options.limits;
    this.now = options.now;
    this.wallNow = options.wallNow;
    this.log = options.log;
    this.recent = createRecentAnswers(options.limits.recentAnswers, options.wallNow);
    this.tombstones = createTombstones(options.limits.tombstoneMs, options.now);
    this.reach = new Reach({ resumeMs: options.limits.resumeMs, now: options.now });
    this.#memory = createNarinfoMemory(options.limits.memoryEntries, options.now);
  }

  /** The upstream in use, or null while the cache is away. */
  get session(): Session | null {
    return this.reach.session;
  }

  /** See `Gateway.setUpstream`. */
  setUpstream(upstream: Upstream | null, mayReturn: boolean): void {
    if (upstream !== null && this.session?.upstream !== upstream) this.tombstones.clear();
    this.reach.set(upstream, mayReturn);
  }

  /**
   * What is told of a path. One that the upstream denies is not here; where the upstream cannot say, memory may answer,
   * because Nix remembers a 404 for an hour and a 200 does no harm.
   */
  async narinfo(hashPart: string): Promise<Told> {
    const told = await this.#lookUp(hashPart);
    if (told.info === null) return told;
    this.stats.hits += 1;
    if (isUnsigned(told.info) && this.#unsigned.size < mostUnsigned) {
      this.#unsigned.add(hashPart);
      this.stats.unsigned = this.#unsigned.size;
    }
    return told;
  }

  /** See `Gateway.ask`. */
  async askNow(hashPart: string): Promise<Answer | null> {
    return (await this.session?.ask(hashPart, lookupPatience(this.limits))) ?? null;
  }

  /** The path whose NAR is asked for by this name (see `narUrl`), or null: with Nix's own caches there may be no narinfo request before it. */
  async narPath(hashPart: string, nar: string): Promise<OfferedPath | null> {
    const matches = (info: OfferedPath | null): info is OfferedPath =>
      info !== null && narUrl(hashPart, info) === nar;
    const known = this.#memory.recall(hashPart, this.limits.freshMs);
    if (matches(known)) return known;
    const { info } = await this.#ask(hashPart);
    return matches(info) ? info : null;
  }

  /** See `Gateway.servesAny`. */
  async servesAny(hashParts: readonly string[], signal: AbortSignal): Promise<boolean> {
    const { session } = this;
    if (session === null) return false;
    // What is there may still not be fit to be told; a lookup says so.
    const present = await session.upstream.findPresent(hashParts, signal);
    for (const hashPart of present.slice(0, mostTried)) {
      signal.throwIfAborted();
      if ((await this.#ask(hashPart)).info !== null) return true;
    }
    return false;
  }

  /** The upstream no longer has this path. */
  forget(hashPart: string): void {
    this.#memory.forget(hashPart);
  }

  async #lookUp(hashPart: string): Promise<Told> {
    const deadline = this.now() + this.limits.lookupMs;
    const known = this.session === null ? this.#fromMemory(hashPart) : null;
    if (known === null && (await this.#arrival(deadline)) === null) return away;
    this.stats.lookups += 1;
    return known ?? this.#ask(hashPart, deadline);
  }

  async #ask(hashPart: string, deadline = this.now() + this.limits.lookupMs): Promise<Told> {
    for (;;) {
      const known = this.session === null ? this.#fromMemory(hashPart) : null;
      if (known !== null) return known;
      const session = await this.#arrival(deadline);
      const left = deadline - this.now();
      if (session === null || left <= 0)
        return this.#fromMemory(hashPart) ?? (session === null ? away : failed);
      const answer = await session.ask(hashPart, lookupPatience(this.limits, left));
      if (answer.kind === "found") {
        this.#memory.remember(hashPart, answer.info);
        return { outcome: "told", info: answer.info };
      }
      if (answer.kind === "absent") {
        this.#memory.forget(hashPart);
        return absent;
      }
      this.log.debug({ hashPart, reason: answer.reason }, "lookup failed");
      // Only a new upstream is worth a second question.
      if (this.session === session) return this.#fromMemory(hashPart) ?? failed;
    }
  }

  /** The session, or the next one if it comes soon. */
  #arrival(deadline: number): Promise<Session | null> {
    return this.reach.arrival(Math.min(deadline, this.reach.awaySince + this.limits.lookupReturnMs));
  }

  #fromMemory(hashPart: string): Told | null {
    const absence = this.session === null ? this.now() - this.reach.lostAt : 0;
    const info = absence <= this.limits.absenceMs ? this.#memory.recall(hashPart) : null;
    return info === null ? null : { outcome: "told-from-memory", info };
  }
}

/** Nix ignores such a path, unless it was told to trust the cache blindly. */
export function isUnsigned(info: PathInfo): boolean {
  return info.signatures.length === 0 && info.ca === null;
}
