// One cache as its clients see it: the present upstream, what it told before, and what is gone for now.

import type { Logger } from "pino";

import { nix32FromHex } from "../protocol/nix32.js";
import type { PathInfo } from "../protocol/path-info.js";
import type { Upstream } from "../upstream/upstream.js";
import { lookupPatience, type GatewayLimits } from "./limits.js";
import { createNarinfoMemory, type NarinfoMemory } from "./narinfo-memory.js";
import { Reach } from "./reach.js";
import type { Session } from "./session.js";
import { createTombstones, type Tombstones } from "./tombstones.js";

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
  /** Distinct paths told without signature and content address: Nix ignores these. */
  unsigned: number;
}

/** Beyond this many distinct unsigned paths the exact number tells nobody more. */
const mostUnsigned = 100_000;

/** Of many paths that are there, so many unfit ones in a row are reason enough to stop. */
const mostTried = 20;

/** What the gateway holds of one cache. */
export class ServedCache {
  readonly priority: number;
  readonly stats: GatewayStats = { lookups: 0, hits: 0, narBytes: 0, resumed: 0, unsigned: 0 };
  readonly tombstones: Tombstones;
  readonly reach: Reach;
  readonly log: Logger;
  readonly limits: GatewayLimits;
  readonly now: () => number;
  readonly #memory: NarinfoMemory;
  readonly #unsigned = new Set<string>();

  /** `now` is a monotonic clock in milliseconds. */
  constructor(options: { priority: number; limits: GatewayLimits; now: () => number; log: Logger }) {
    this.priority = options.priority;
    this.limits = options.limits;
    this.now = options.now;
    this.log = options.log;
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
   * What is told of a path, or null for "not here". A path that the upstream denies is not here; where the
   * upstream cannot say, memory may answer, because Nix remembers a 404 for an hour and a 200 does no harm.
   */
  async narinfo(hashPart: string): Promise<PathInfo | null> {
    const info = await this.#lookUp(hashPart);
    if (info === null) return null;
    this.stats.hits += 1;
    if (info.signatures.length === 0 && info.ca === null && this.#unsigned.size < mostUnsigned) {
      this.#unsigned.add(hashPart);
      this.stats.unsigned = this.#unsigned.size;
    }
    return info;
  }

  /** The path whose NAR is asked for, or null: with Nix's own caches there may be no narinfo request before it. */
  async narPath(hashPart: string, narHash: string): Promise<PathInfo | null> {
    const matches = (info: PathInfo | null): info is PathInfo =>
      info !== null && nix32FromHex(info.narHash) === narHash;
    const known = this.#memory.recall(hashPart, this.limits.freshMs);
    if (matches(known)) return known;
    const asked = await this.#ask(hashPart);
    return matches(asked) ? asked : null;
  }

  /** See `Gateway.servesAny`. */
  async servesAny(hashParts: readonly string[], signal: AbortSignal): Promise<boolean> {
    const { session } = this;
    if (session === null) return false;
    // What is there may still not be fit to be told; a lookup says so.
    const present = await session.upstream.findPresent(hashParts, signal);
    for (const hashPart of present.slice(0, mostTried)) {
      signal.throwIfAborted();
      if ((await this.#ask(hashPart)) !== null) return true;
    }
    return false;
  }

  /** The upstream no longer has this path. */
  forget(hashPart: string): void {
    this.#memory.forget(hashPart);
  }

  async #lookUp(hashPart: string): Promise<PathInfo | null> {
    const deadline = this.now() + this.limits.lookupMs;
    const known = this.session === null ? this.#fromMemory(hashPart) : null;
    if (known === null && (await this.#arrival(deadline)) === null) return null;
    this.stats.lookups += 1;
    return known ?? this.#ask(hashPart, deadline);
  }

  async #ask(hashPart: string, deadline = this.now() + this.limits.lookupMs): Promise<PathInfo | null> {
    for (;;) {
      const known = this.session === null ? this.#fromMemory(hashPart) : null;
      if (known !== null) return known;
      const session = await this.#arrival(deadline);
      const left = deadline - this.now();
      if (session === null || left <= 0) return this.#fromMemory(hashPart);
      const answer = await session.ask(hashPart, lookupPatience(this.limits, left));
      if (answer.kind === "found") {
        this.#memory.remember(hashPart, answer.info);
        return answer.info;
      }
      if (answer.kind === "absent") {
        this.#memory.forget(hashPart);
        return null;
      }
      this.log.debug({ hashPart, reason: answer.reason }, "lookup failed");
      // Only a new upstream is worth a second question.
      if (this.session === session) return this.#fromMemory(hashPart);
    }
  }

  /** The session, or the next one if it comes soon. */
  #arrival(deadline: number): Promise<Session | null> {
    return this.reach.arrival(Math.min(deadline, this.reach.awaySince + this.limits.lookupReturnMs));
  }

  #fromMemory(hashPart: string): PathInfo | null {
    const away = this.session === null ? this.now() - this.reach.lostAt : 0;
    return away <= this.limits.absenceMs ? this.#memory.recall(hashPart) : null;
  }
}
