// Measurements of one thing in one setting: what is collected, printed, and held against the goals.

/** `s/GB` is CPU seconds for 10^9 bytes, and a MB is 10^6 bytes. */
export type Unit = "s" | "ms" | "MB/s" | "s/GB" | "MB" | "ms/min" | "/min" | "bytes/min";

/** Under which circumstances. */
export interface Setting {
  /** The letter by which a measurement is chosen. */
  readonly measure: string;
  /** In words. */
  readonly what: string;
  /** The version of Nix, where Nix takes part. */
  readonly nix: string | null;
  /** Of a round trip, in milliseconds, where a network takes part. */
  readonly delayMs: number | null;
}

/** Who was measured, and how often with which outcome. */
export interface Series extends Setting {
  readonly variant: string;
  readonly unit: Unit;
  readonly values: readonly number[];
}

/** Collects measurements into series, in the order in which these begin. */
export class Recorder {
  readonly #series = new Map<string, Series & { readonly values: number[] }>();

  add(setting: Setting, variant: string, unit: Unit, ...values: readonly number[]): void {
    const { measure, what, nix, delayMs } = setting;
    const key = JSON.stringify([measure, what, nix, delayMs, variant, unit]);
    const found = this.#series.get(key) ?? { measure, what, nix, delayMs, variant, unit, values: [] };
    found.values.push(...values);
    this.#series.set(key, found);
  }

  get series(): readonly Series[] {
    return [...this.#series.values()];
  }
}

/** Whether two are of the same setting. */
export function sameSetting(a: Setting, b: Setting): boolean {
  return a.measure === b.measure && a.what === b.what && a.nix === b.nix && a.delayMs === b.delayMs;
}
