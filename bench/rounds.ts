// Runs variants in turn, so that whatever else the machine does hits all alike.

/** The items, beginning with another one in each round. */
export function rotated<T>(items: readonly T[], round: number): T[] {
  const at = round % items.length;
  return [...items.slice(at), ...items.slice(0, at)];
}

/**
 * Calls `run` for each variant in each round. One whose run took longer than `slowMs` is run no second time.
 * `now` is in milliseconds.
 */
export async function interleave<T>(
  variants: readonly T[],
  plan: { readonly rounds: number; readonly slowMs: number; readonly now: () => number },
  run: (variant: T, round: number) => Promise<void>,
): Promise<void> {
  const slow = new Set<T>();
  for (let round = 0; round < plan.rounds; round += 1) {
    for (const variant of rotated(variants, round).filter((one) => !slow.has(one))) {
      const began = plan.now();
      await run(variant, round);
      if (plan.now() - began > plan.slowMs) slow.add(variant);
    }
  }
}
