// How fast a total grows, over the last few seconds.

export interface Rate {
  /** The total at a time, in milliseconds of any clock that only goes forward; to be told about once a second. */
  sample(at: number, total: number): void;
  /** Per second; null until two samples are there. */
  perSecond(): number | null;
}

export function createRate(windowMs = 5_000): Rate {
  const samples: { at: number; total: number }[] = [];
  return {
    sample: (at, total) => {
      samples.push({ at, total });
      while (samples.length > 2 && (samples[1]?.at ?? at) <= at - windowMs) samples.shift();
    },
    perSecond: () => {
      const [first] = samples;
      const last = samples.at(-1);
      if (first === undefined || last === undefined || last.at <= first.at) return null;
      return Math.max(0, ((last.total - first.total) / (last.at - first.at)) * 1000);
    },
  };
}
