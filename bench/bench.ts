// What a measurement is given.

import type { Options } from "./options.js";
import { interleave } from "./rounds.js";
import type { Scope } from "./scope.js";
import type { Recorder } from "./series.js";

export interface Bench {
  readonly options: Options;
  /** Ends with the measurement. */
  readonly scope: Scope;
  readonly recorder: Recorder;
  /** Tells a person who waits. */
  say(text: string): void;
}

/** A measurement, or several that share what they need. */
export interface Measurement {
  readonly letters: string;
  run(bench: Bench, letters: readonly string[]): Promise<void>;
}

/** What takes longer than this is not measured again: who is that far behind needs no median. In milliseconds. */
const slowMs = 45_000;

/** `run` for each variant in each round, in turn. */
export function inTurn<T>(
  bench: Bench,
  variants: readonly T[],
  run: (variant: T, round: number) => Promise<void>,
  rounds = bench.options.rounds,
): Promise<void> {
  return interleave(variants, { rounds, slowMs, now: () => performance.now() }, run);
}

/** A count or a size, smaller with --quick. */
export function scaled({ options }: Bench, size: number): number {
  return Math.round(size * options.scale);
}
