// A deadline that is put off while there are signs of life: a busy link is not a dead one.

/** Times in milliseconds of one monotonic clock. */
export interface Patience {
  /** The deadline as a rule. */
  readonly ms: number;
  /** It is put off as long as the last sign of life is younger than this … */
  readonly quietMs: number;
  /** … but not beyond this. */
  readonly mostMs: number;
}

/**
 * Calls `onLate` once with the time that has passed, unless the function that it returns is called before. `lastSign`
 * tells when there was the last sign of life by the clock `now`.
 */
export function watchPatiently(
  patience: Patience,
  clock: { readonly now: () => number; readonly lastSign: () => number },
  onLate: (elapsedMs: number) => void,
): () => void {
  const begun = clock.now();
  const check = (): void => {
    const elapsed = clock.now() - begun;
    const left = Math.min(patience.quietMs - (clock.now() - clock.lastSign()), patience.mostMs - elapsed);
    if (left > 0) timer = setTimeout(check, Math.ceil(left));
    else onLate(elapsed);
  };
  let timer = setTimeout(check, patience.ms);
  return () => clearTimeout(timer);
}
