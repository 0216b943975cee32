// Keeps for each cache which of its URLs is listed, and moves on to the next when something that was denied under this
// one is there: under it, Nix would not ask again for an hour.

import type { Logger } from "pino";
import { createDenials } from "../decision/denials.js";
import { advance, askedUnder } from "../decision/generation.js";
import type { NarinfoAnswer } from "../gateway/gateway.js";
import { nothingSaved, type Saved, type SavedGenerations } from "./generation-file.js";
import { beginRechecks, type Rechecks, type RecheckTimes } from "./rechecks.js";

/** Far more than a build asks for in vain; asking for so many again takes a twentieth of a second. */
const mostDenials = 4_000;

/** What the generations hang on. */
export interface GenerationsDeps {
  readonly caches: readonly string[];
  readonly saved: Saved;
  /** See `Gateway.servesAny`. */
  readonly servesAny: (cache: string, hashParts: readonly string[], signal: AbortSignal) => Promise<boolean>;
  /** The generations of a cache that Nix would ignore. */
  readonly refused: (cache: string) => ReadonlySet<number>;
  /** Another URL is to be listed from now on. */
  readonly onMoved: (cache: string) => void;
  /** `snapshot` has changed. */
  readonly onChanged: () => void;
  readonly timesOf: (cache: string) => RecheckTimes;
  /** Milliseconds since the epoch: Nix compares these too. */
  readonly now: () => number;
  readonly log: Logger;
}

/** Which URL of each cache is in use. */
export interface Generations {
  current(cache: string): number;
  /** To be told of every answer to a request for a narinfo. */
  answered(answer: NarinfoAnswer): void;
  /** A link to the cache is in use: asks again for what was denied, until that is ended. */
  begin(cache: string): Rechecks;
  /** Asks now for what was denied, where a link to the cache is in use; resolves when that has had its effect. */
  recheck(cache: string): Promise<void>;
  /** What is to be saved. */
  snapshot(): Saved;
}

export function createGenerations(deps: GenerationsDeps): Generations {
  const caches = new Map(
    deps.caches.map((name) => [name, createCache(name, deps.saved[name] ?? nothingSaved, deps)]),
  );
  const named = (name: string): CacheGenerations => {
    const cache = caches.get(name);
    if (cache === undefined) throw new Error(`no cache ${name}`);
    return cache;
  };
  return {
    current: (cache) => named(cache).current(),
    answered: (answer) => named(answer.cache).answered(answer),
    begin: (cache) => named(cache).begin(),
    recheck: (cache) => named(cache).recheck(),
    snapshot: () => Object.fromEntries([...caches].map(([name, cache]) => [name, cache.snapshot()])),
  };
}

interface CacheGenerations {
  current(): number;
  answered(answer: NarinfoAnswer): void;
  begin(): Rechecks;
  recheck(): Promise<void>;
  snapshot(): SavedGenerations;
}

function createCache(name: string, saved: SavedGenerations, deps: GenerationsDeps): CacheGenerations {
  const { now, log } = deps;
  const denials = createDenials(mostDenials, saved);
  let ring = { current: saved.current, lastUsed: saved.lastUsed };
  let rechecks: Rechecks | null = null;

  const move = (): void => {
    const { next, exhausted } = advance(ring, now(), deps.refused(name));
    const fields = { cache: name, from: ring.current, to: next.current };
    if (next.current !== ring.current)
      log.info(fields, `${name} has what it was said not to have: Nix is given another of its URLs`);
    if (exhausted) log.debug(fields, "every URL was used within the hour; Nix may remember some answers");
    ring = next;
    denials.clear();
    deps.onChanged();
    deps.onMoved(name);
  };

  return {
    current: () => ring.current,
    answered: ({ generation, hashPart, found }) => {
      // Without a generation there is no other URL to move to.
      if (generation === null) return;
      ring = askedUnder(ring, generation, now());
      if (found) return;
      if (generation === ring.current) denials.add(hashPart, now());
      deps.onChanged();
      rechecks?.denied();
    },
    begin: () => {
      const begun = beginRechecks({
        inDoubt: () => denials.standing(now()).length > 0 || denials.overflowed(now()),
        ask: async ({ first, signal }) => {
          // What was given up for want of room can not be asked for: after an absence the worst is assumed.
          const there = await deps.servesAny(name, denials.standing(now()), signal);
          if (there || (first && denials.overflowed(now()))) move();
        },
        times: deps.timesOf(name),
        log: log.child({ cache: name }),
      });
      rechecks = begun;
      const end = (): void => {
        begun.end();
        if (rechecks === begun) rechecks = null;
      };
      return { ...begun, end };
    },
    recheck: async () => rechecks?.now(),
    snapshot: () => ({ ...ring, ...denials.snapshot(now()) }),
  };
}
