// Which of the paths that come in by themselves are not to be uploaded, as the configuration has it. What can not be found
// out is no reason to keep anything back.

import type { Logger } from "pino";
import { parseStorePath } from "../protocol/store-path.js";
import type { LocalInfos } from "../nix/path-infos.js";
import { matchesGlob } from "../util/glob.js";

/** Resolves to those that are not to be uploaded. Never rejects. */
export type Sieve = (paths: readonly string[]) => Promise<ReadonlySet<string>>;

export interface SieveRules {
  /** Patterns for names; with any, a path must fit one. */
  readonly only: readonly string[];
  readonly skip: readonly string[];
  /** Of a NAR, in bytes; null: any. */
  readonly maxSize: number | null;
}

export interface SieveDeps {
  readonly infos: (paths: readonly string[]) => Promise<LocalInfos>;
  /** Those that are to be had elsewhere. Never rejects. */
  readonly available: (paths: readonly string[]) => Promise<ReadonlySet<string>>;
  readonly log: Logger;
}

/** Asks for sizes only where one counts, and elsewhere about what is left. */
export function createSieve(rules: SieveRules, { infos, available, log }: SieveDeps): Sieve {
  return async (paths) => {
    const named = paths.filter((path) => isWantedName(path, rules));
    const small = rules.maxSize === null ? named : await notAbove(rules.maxSize, named);
    const found = small.length === 0 ? new Set<string>() : await available(small);
    const wanted = new Set(small.filter((path) => !found.has(path)));
    return new Set(paths.filter((path) => !wanted.has(path)));
  };

  async function notAbove(maxSize: number, candidates: readonly string[]): Promise<readonly string[]> {
    if (candidates.length === 0) return candidates;
    try {
      const known = await infos(candidates);
      return candidates.filter((path) => (known.get(path)?.size ?? 0) <= maxSize);
    } catch (error) {
      log.debug({ error }, "the sizes of what was built are not known; it is queued all the same");
      return candidates;
    }
  }
}

/** Pure: whether the name in a store path fits the patterns. */
export function isWantedName(path: string, { only, skip }: Pick<SieveRules, "only" | "skip">): boolean {
  const name = parseStorePath(path)?.name ?? "";
  const fits = (pattern: string): boolean => matchesGlob(name, pattern);
  return (only.length === 0 || only.some(fits)) && !skip.some(fits);
}
