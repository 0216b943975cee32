// A measurement that several checks speak of is made once, when the first of them asks.

export type Once<T> = (signal: AbortSignal) => Promise<T>;

/** Whoever comes first gives the signal. */
export function once<T>(measure: Once<T>): Once<T> {
  let made: Promise<T> | null = null;
  return (signal) => (made ??= measure(signal));
}
