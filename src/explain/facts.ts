// What an explanation is made of, wherever it comes from.

import type { CacheStatus, Warning } from "../control/messages.js";
import type { CacheMemory } from "../control/path-memory.js";

/** The path in the store of this machine. */
export interface LocalPath {
  readonly present: boolean;
  /** Built here, and not fetched. */
  readonly builtHere: boolean;
  /** The names of the keys that have signed it. */
  readonly signers: readonly string[];
}

/** Another cache that Nix would ask. */
export interface OtherCache {
  readonly url: string;
  /** Lower ones are asked first; null where it does not say. */
  readonly priority: number | null;
  /** Whether it has the path; null where it was not asked or did not answer. */
  readonly has: boolean | null;
}

/** What the Nix on this machine goes by. */
export interface NixFacts {
  /** The public keys whose signatures count. */
  readonly keys: readonly string[];
  /** Whether Nix takes only what is signed by one of them. */
  readonly requireSignatures: boolean;
  /** Those of its caches that are not ours, in the order of its settings. */
  readonly others: readonly OtherCache[];
}

/** All that is known of one path and one of our caches. */
export interface CacheFacts {
  readonly name: string;
  readonly status: CacheStatus;
  readonly memory: CacheMemory;
  /** Those that concern this cache, or all. */
  readonly warnings: readonly Warning[];
  /** Null where the local store can not be asked, or nobody knows the whole path. */
  readonly local: LocalPath | null;
  /** Null where Nix does not tell its settings. */
  readonly nix: NixFacts | null;
}
