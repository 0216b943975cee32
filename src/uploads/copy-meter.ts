// How far a copy has come within its paths. Nix 2.8 does not say, and newer ones say it at every file, so the bytes are
// counted that go into the target's socket while Nix copies a path.

import { createRate } from "../util/rate.js";

/** A copy that is under way. Sizes are those of NARs, in bytes. */
export interface Going {
  readonly paths: number;
  readonly size: number;
  readonly sent: number;
}

export interface CopyMeter {
  /** Nix begins with this path, and has done with the one before. */
  begun(path: string): void;
  going(): Going;
  /** Of one path; null where it is no part of the copy. */
  sentOf(path: string): number | null;
  /** Bytes per second at present; null where that is not known yet. */
  rate(): number | null;
  end(): void;
}

const sampleMs = 1_000;

/**
 * `sizes` is of all that is to be copied; `wire` is how much has gone into the socket since any time before, also by
 * others: a copy that somebody else makes meanwhile is taken for ours, up to the size of the path.
 */
export function createCopyMeter(sizes: ReadonlyMap<string, number>, wire: () => number): CopyMeter {
  const size = sum(sizes.values());
  const done = new Set<string>();
  const rate = createRate();
  let current: { path: string; from: number } | null = null;

  const sentOf = (path: string): number | null => {
    const whole = sizes.get(path);
    if (whole === undefined) return null;
    if (done.has(path)) return whole;
    return current?.path === path ? Math.min(whole, Math.max(0, wire() - current.from)) : 0;
  };
  const sample = (): void => rate.sample(performance.now(), wire());
  sample();
  const timer = setInterval(sample, sampleMs).unref();

  return {
    begun: (path) => {
      if (current !== null) done.add(current.path);
      done.delete(path); // a second try
      current = { path, from: wire() };
    },
    going: () => ({
      paths: sizes.size,
      size,
      sent: sum([...done, ...(current === null ? [] : [current.path])].map((path) => sentOf(path) ?? 0)),
    }),
    sentOf,
    rate: () => rate.perSecond(),
    end: () => clearInterval(timer),
  };
}

/** What is still to be sent: of `others`, which are no part of the copy under way, and of that, which may take more along. */
export function bytesLeft(others: readonly (number | null)[], going: Going | null): number {
  return sum(others.map((size) => size ?? 0)) + (going === null ? 0 : going.size - going.sent);
}

function sum(numbers: Iterable<number>): number {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
}
