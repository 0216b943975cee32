// Long lists in pieces: of what may be asked for, held or named on a command line at once.

/** `items` in their order, at most `most` in each piece. */
export function inPieces<T>(items: readonly T[], most: number): T[][] {
  const pieces: T[][] = [];
  for (let start = 0; start < items.length; start += most) pieces.push(items.slice(start, start + most));
  return pieces;
}
