// Which of a cache's sixteen URLs is listed. Nix remembers a "not here" for an hour under the URL it asked, so a URL
// that has given a false one is left, for one of which Nix remembers nothing. Pure.

/** URLs of a cache that differ in nothing but their generation, 0 to 15: root allows all of them once. */
export const generationCount = 16;

/**
 * How long a "not here" may be remembered, in milliseconds: `narinfo-cache-negative-ttl` is an hour by default, which
 * begins when Nix has noted the answer, a moment after it was given.
 */
export const negativeMs = 3_660_000;

/** Times are milliseconds since the epoch: Nix compares those too. */
export interface Generations {
  /** The one that is listed, or will be. */
  readonly current: number;
  /** For each: when it was last current or asked under; 0 for never. */
  readonly lastUsed: readonly number[];
}

/** Of a cache that was never listed. */
export function firstGenerations(): Generations {
  return { current: 0, lastUsed: Array.from({ length: generationCount }, () => 0) };
}

/** After a question that was asked under `generation`, be it current or not. */
export function askedUnder(state: Generations, generation: number, now: number): Generations {
  return { ...state, lastUsed: state.lastUsed.with(generation, now) };
}

/**
 * The next generation in the ring that Nix can remember nothing of. Where there is none (`exhausted`) it is the one
 * that was used the longest time ago: the fewest of its answers are still remembered. Those that Nix would ignore
 * (`refused`) are passed over, and where that leaves none but the present one, it stays.
 */
export function advance(
  state: Generations,
  now: number,
  refused: ReadonlySet<number> = new Set(),
): { readonly next: Generations; readonly exhausted: boolean } {
  const { current, lastUsed } = askedUnder(state, state.current, now);
  const last = (generation: number): number => lastUsed[generation] ?? 0;
  const ring = Array.from({ length: generationCount - 1 }, (_, i) => (current + 1 + i) % generationCount);
  const allowed = ring.filter((generation) => !refused.has(generation));
  const others = allowed.length > 0 ? allowed : refused.has(current) ? ring : [current];
  const forgotten = others.find((generation) => now - last(generation) >= negativeMs);
  const chosen = forgotten ?? others.reduce((best, one) => (last(one) < last(best) ? one : best));
  return {
    next: askedUnder({ current: chosen, lastUsed }, chosen, now),
    exhausted: forgotten === undefined,
  };
}
