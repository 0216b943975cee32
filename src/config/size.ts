// Sizes as people write them: "500M", "2G". Pure.

const shape = /^(\d{1,15}(?:\.\d{1,3})?)([KMGT]?)$/i;

const units = ["", "K", "M", "G", "T"];

/** Whole bytes, a unit being 1024 times the one before as in Nix's own settings; null where it is no size. */
export function parseSize(text: string): number | null {
  const [, number, unit = ""] = shape.exec(text) ?? [];
  if (number === undefined) return null;
  const bytes = Math.round(Number(number) * 1024 ** units.indexOf(unit.toUpperCase()));
  return Number.isSafeInteger(bytes) ? bytes : null;
}
