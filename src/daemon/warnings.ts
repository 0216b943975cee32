// Named problems as they stand now: raised with a sentence, cleared by name, each with the time it began.

import type { Logger } from "pino";
import type { Warning } from "../control/messages.js";

export interface Warnings {
  /** Raises (again) or changes a warning. Logged once, when it begins. */
  raise(code: string, cache: string | null, text: string): void;
  clear(code: string, cache: string | null): void;
  list(): Warning[];
}

export function createWarnings(deps: { readonly log: Logger; readonly now: () => number }): Warnings {
  const standing = new Map<string, Warning>();
  const keyOf = (code: string, cache: string | null): string => `${cache ?? ""} ${code}`;
  return {
    raise: (code, cache, text) => {
      const key = keyOf(code, cache);
      const before = standing.get(key);
      const since = before?.since ?? new Date(deps.now()).toISOString();
      standing.set(key, { code, cache, text, since });
      if (before === undefined) deps.log.warn({ code, ...(cache === null ? {} : { cache }) }, text);
    },
    clear: (code, cache) => {
      standing.delete(keyOf(code, cache));
    },
    list: () => [...standing.values()],
  };
}
