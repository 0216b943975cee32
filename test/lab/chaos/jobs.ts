// The jobs: what Nix is asked for, where that can be had, and the order in which a seed deals them.

import { Random } from "../../support/random.js";

/** An attribute of closures.nix. */
export type Attribute = "many" | "one" | "big" | "middle" | "little" | "mixed";

export interface Kind {
  readonly name: string;
  readonly weight: number;
  readonly attribute: Attribute;
  /** What the Pi has; everything else of the closure it has not. */
  readonly onPi: readonly Attribute[];
  /** What the second cache has. */
  readonly onSecond: readonly Attribute[];
  /** Asks for the path and not for the derivation, so that it cannot be built instead. */
  readonly fetchOnly?: boolean;
}

export const kinds: readonly Kind[] = [
  { name: "many small, Pi", weight: 5, attribute: "many", onPi: ["many"], onSecond: [] },
  { name: "many small, second", weight: 1, attribute: "many", onPi: [], onSecond: ["many"] },
  { name: "many small, nowhere", weight: 1, attribute: "many", onPi: [], onSecond: [] },
  { name: "one small, Pi", weight: 4, attribute: "one", onPi: ["one"], onSecond: [] },
  { name: "one small, second", weight: 1, attribute: "one", onPi: [], onSecond: ["one"] },
  { name: "one small, nowhere", weight: 2, attribute: "one", onPi: [], onSecond: [] },
  { name: "one big, Pi", weight: 4, attribute: "big", onPi: ["big"], onSecond: [] },
  { name: "one big, second", weight: 1, attribute: "big", onPi: [], onSecond: ["big"] },
  { name: "mixed", weight: 4, attribute: "mixed", onPi: ["many", "middle"], onSecond: ["little"] },
  {
    name: "many small, fetched from Pi or second",
    weight: 2,
    attribute: "many",
    onPi: ["many"],
    onSecond: ["many"],
    fetchOnly: true,
  },
  {
    name: "one big, fetched from Pi or second",
    weight: 2,
    attribute: "big",
    onPi: ["big"],
    onSecond: ["big"],
    fetchOnly: true,
  },
];

export interface Job {
  /** Makes paths that nobody has seen before. */
  readonly salt: string;
  readonly kind: Kind;
  /** `nix build` instead of `nix-build`. */
  readonly newCommand: boolean;
  /** Afterwards its paths are deleted and asked for once more: Nix then knows them without asking. */
  readonly again: boolean;
}

/** The endless sequence of jobs that follows from a seed. */
export function* jobs(seed: string): Generator<Job, never> {
  const random = new Random(`${seed}/jobs`);
  for (let number = 1; ; number += 1) {
    yield {
      salt: `${seed}-${number}`,
      kind: random.pick(kinds),
      newCommand: random.chance(0.3),
      again: random.chance(0.2),
    };
  }
}

const named = (name: string): Kind => {
  const found = kinds.find((kind) => kind.name === name);
  if (found === undefined) throw new Error(`no kind ${name}`);
  return found;
};

const plain = (salt: string, kind: string): Job => ({
  salt,
  kind: named(kind),
  newCommand: false,
  again: false,
});

/** One of each attribute, as close to the Pi as it gets, for measuring how long it takes when nothing is wrong. */
export function quietJobs(seed: string): Job[] {
  const names = ["many small, Pi", "one small, Pi", "one big, Pi", "mixed"];
  return names.map((name, n) => plain(`${seed}-quiet-${n}`, name));
}

/** What can be had from the Pi again when all is over. */
export function lastJob(seed: string): Job {
  return plain(`${seed}-last`, "many small, Pi");
}
