// One question of the doctor's, and its answer.

import type { Finding } from "./finding.js";

export interface Check {
  /** Stable: programs know it by this. */
  readonly id: string;
  /** The cache that it is about; null for what concerns all of them. */
  readonly cache: string | null;
  /** What is looked at, in a word or two. */
  readonly title: string;
  /** The ids of earlier checks, of the same cache or of none, without which this one can find nothing out. */
  readonly needs: readonly string[];
  /** How long it may take, in milliseconds; by default 10 s. */
  readonly ms?: number;
  /** One finding at least. A rejection is a failure, told in the error's words. */
  look(signal: AbortSignal): Promise<Finding | readonly Finding[]>;
}

/** A finding and whose it is. */
export interface Result extends Finding, Pick<Check, "id" | "cache" | "title"> {}
