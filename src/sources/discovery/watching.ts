// What multicast says unasked about one target, reduced to news: it announced itself, or said goodbye.

import type { Endpoint } from "../../link/link.js";
import { endpointKey, MAX_ENDPOINTS, type Picture, type Question, unique } from "./picture.js";
import type { HeardRecord } from "./records.js";

/** Something multicast said unasked. */
export interface News {
  /**
   * "announced": it can be reached at `endpoints`; "goodbye": it has withdrawn `endpoints`, all there were.
   */
  readonly kind: "announced" | "goodbye";
  readonly endpoints: readonly Endpoint[];
}

/** One watched target. */
export interface Watching {
  /** Something was heard on an interface at `now` (milliseconds). */
  hear(link: string, records: readonly HeardRecord[], now: number): void;
  /** A lookup has found out how things are: its picture replaces what was known, without news. */
  adopt(picture: Picture, now: number): void;
  /** What was heard on an interface is void. */
  forget(link: string): void;
  /** No news follows. */
  stop(): void;
}

/** One announcement comes as several packets, on several interfaces; they make one piece of news. */
export const SETTLE_MS = 100;

/**
 * Who is heard again after a silence of this length may have been away, even if nothing about it has changed.
 */
export const SILENCE_MS = 1000;

/**
 * Watches, with an empty picture at first. `onNews` is called from a timer, never from within `hear`. Where
 * something heard leaves a question open (a service announced without its host's addresses) it is asked, at
 * most once a second.
 */
export function createWatching(
  empty: Picture,
  onNews: (news: News) => void,
  ask: (questions: readonly Question[]) => void,
): Watching {
  let picture = empty;
  let lastAsked = Number.NEGATIVE_INFINITY;
  let told = setKey([]);
  let lastHeard = Number.NEGATIVE_INFINITY;
  let returned = false;
  let gone: Endpoint[] = [];
  let timer: NodeJS.Timeout | undefined;

  const settle = (): void => {
    timer = undefined;
    const endpoints = picture.endpoints();
    const withdrawn = gone;
    const changed = setKey(endpoints) !== told || returned;
    gone = [];
    returned = false;
    told = setKey(endpoints);
    if (endpoints.length > 0) {
      if (changed) onNews({ kind: "announced", endpoints });
    } else if (withdrawn.length > 0) {
      onNews({ kind: "goodbye", endpoints: withdrawn });
    }
  };

  return {
    hear: (link, records, now) => {
      const change = picture.apply(link, records, now);
      if (!change.concerned) return;
      if (now - lastHeard > SILENCE_MS) returned = true;
      lastHeard = now;
      gone = unique([...gone, ...change.gone]).slice(0, MAX_ENDPOINTS);
      const missing = picture.missing();
      if (missing.length > 0 && picture.endpoints().length === 0 && now - lastAsked > SILENCE_MS) {
        lastAsked = now;
        ask(missing);
      }
      timer ??= setTimeout(settle, SETTLE_MS);
    },
    adopt: (fresh, now) => {
      picture = fresh;
      told = setKey(fresh.endpoints());
      lastHeard = now;
      returned = false;
      gone = [];
    },
    forget: (link) => {
      picture.forget(link);
      told = setKey(picture.endpoints());
    },
    stop: () => clearTimeout(timer),
  };
}

const setKey = (endpoints: readonly Endpoint[]): string => endpoints.map(endpointKey).toSorted().join(",");
