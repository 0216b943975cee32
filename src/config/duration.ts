// Spans of time as people write them: "90s", "30min", "6h", "14d", "2w". Pure.

const shape = /^(\d{1,6}(?:\.\d{1,2})?)(s|min|h|d|w)$/;

const units = { s: 1_000, min: 60_000, h: 3_600_000, d: 86_400_000, w: 7 * 86_400_000 } as const;

/** Whole milliseconds; null where it is no span of time, or none at all. */
export function parseDuration(text: string): number | null {
  const [, number, unit] = shape.exec(text) ?? [];
  if (number === undefined || unit === undefined) return null;
  const ms = Math.round(Number(number) * units[unit as keyof typeof units]);
  return ms > 0 ? ms : null;
}
