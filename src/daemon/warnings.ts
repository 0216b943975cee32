// Named problems as they stand now: raised with a sentence, cleared by name, each with the time it began.

import type { Logger } from "pino";
import type { Warning } from "../control/messages.js";
import { TetherError, messageOf } from "../util/errors.js";

/** The warnings of a running daemon, beyond those that a cache's state tells. */
export interface Warnings {
  /** Raises (again) or changes a warning. Logged once, when it begins. */
  raise(code: string, cache: string | null, text: string): void;
  clear(code: string, cache: string | null): void;
  /** A warning that stands from an error on until null is told; `before` begins its sentence. */
  follow(code: string, cache: string | null, before?: string): (error: unknown) => void;
  list(): Warning[];
}

export function createWarnings(deps: { readonly log: Logger; readonly now: () => number }): Warnings {
  const standing = new Map<string, Warning>();
  const keyOf = (code: string, cache: string | null): string => `${cache ?? ""} ${code}`;
  const raise = (code: string, cache: string | null, text: string): void => {
    const key = keyOf(code, cache);
    const before = standing.get(key);
    const since = before?.since ?? new Date(deps.now()).toISOString();
    standing.set(key, { code, cache, text, since });
    if (before === undefined) deps.log.warn({ code, ...(cache === null ? {} : { cache }) }, text);
  };
  const clear = (code: string, cache: string | null): void => void standing.delete(keyOf(code, cache));
  return {
    raise,
    clear,
    follow:
      (code, cache, before = "") =>
      (error) =>
        error === null ? clear(code, cache) : raise(code, cache, `${before}${describe(error)}`),
    list: () => [...standing.values()],
  };
}

function describe(error: unknown): string {
  const remedy = error instanceof TetherError ? error.remedy : undefined;
  return remedy === undefined ? messageOf(error) : `${messageOf(error)}. ${remedy}`;
}
