// What is said of several measurements of the same thing.

/** The middle one, or the mean of the two in the middle; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(half) - 1] ?? NaN, sorted[Math.floor(half)] ?? NaN];
  return (low + high) / 2;
}

/**
 * How far the medians of two such series may lie apart by chance: about two standard errors of their difference, from the
 * median absolute deviation of this one.
 */
export function noise(values: readonly number[]): number {
  const middle = median(values);
  const deviation = 1.4826 * median(values.map((value) => Math.abs(value - middle)));
  return 2 * Math.SQRT2 * 1.2533 * (deviation / Math.sqrt(values.length));
}

/** The smallest and the largest. */
export function spread(values: readonly number[]): readonly [number, number] {
  return [Math.min(...values), Math.max(...values)];
}

/** Three significant digits, and no more behind the point than that takes. */
export function threeDigits(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const whole = Math.max(1, Math.floor(Math.log10(Math.abs(value) || 1)) + 1);
  return value.toFixed(Math.max(0, 3 - whole));
}
