// What we want to reach, each goal beside what was measured. All are ratios or differences of medians of the same run.

import { sameSetting, type Series, type Setting, type Unit } from "./series.js";
import { median, noise } from "./statistics.js";

/** A goal in one setting. */
export interface Verdict extends Setting {
  /** What was compared with what. */
  readonly goal: string;
  readonly value: number;
  /** The limit with its direction, such as "≤ 1.05". */
  readonly wanted: string;
  readonly reached: boolean;
}

/** In the setting at hand. */
interface Measured {
  /** A variant's median; NaN where it was not measured. */
  readonly of: (variant: string, unit: Unit) => number;
  readonly noiseOf: (variant: string, unit: Unit) => number;
  /** The last variant's median to the first one's, where they stand in the order of the work; NaN where there is one. */
  readonly growth: (unit: Unit) => number;
}

interface Rule {
  /** The letters that it is for. */
  readonly measures: string;
  readonly applies?: (setting: Setting) => boolean;
  readonly goal: string;
  readonly value: (measured: Measured) => number;
  readonly atLeast?: (setting: Setting) => number;
  readonly atMost?: (setting: Setting, measured: Measured) => number;
}

const far = ({ delayMs }: Setting): boolean => (delayMs ?? 0) > 0;
const ours = "nix-tether";
const always = (limit: number) => (): number => limit;
const timesOf =
  (other: string, unit: Unit = "s") =>
  ({ of }: Measured): number =>
    of(other, unit) / of(ours, unit);
const partOf =
  (other: string, unit: Unit = "s") =>
  ({ of }: Measured): number =>
    of(ours, unit) / of(other, unit);

const rules: readonly Rule[] = [
  {
    measures: "ac",
    goal: "ssh-ng / nix-tether",
    value: timesOf("ssh-ng"),
    atLeast: (setting) => (far(setting) ? (setting.nix === "2.8" ? 2.3 : 3.5) : 1.5),
  },
  {
    measures: "ac",
    goal: "nix-tether / nginx",
    value: partOf("nginx"),
    atMost: (setting) => (far(setting) ? 1.05 : 1.1),
  },
  { measures: "b", goal: "ssh-ng / nix-tether", value: timesOf("ssh-ng"), atLeast: always(1.1) },
  { measures: "b", goal: "nix-tether / nginx", value: partOf("nginx"), atMost: always(1.25) },
  {
    measures: "b",
    goal: "CPU of the daemon, SSH included, s/GB",
    value: ({ of }) => of(ours, "s/GB"),
    atMost: always(1.6),
  },
  {
    measures: "d",
    applies: ({ delayMs, what }) => delayMs === 3 && what.includes("raw HTTP"),
    goal: "3,000 answers, s",
    value: ({ of }) => of(ours, "s"),
    atMost: always(0.5),
  },
  // Nix alone takes longer than half a second, even where it is answered at once.
  { measures: "d", goal: "nix-tether / 404 at once", value: partOf("404 at once"), atMost: always(1.1) },
  {
    measures: "e",
    goal: "away - no cache, ms",
    value: ({ of }) => of("away", "ms") - of("no cache", "ms"),
    atMost: (_, { noiseOf }) => noiseOf("no cache", "ms"),
  },
  {
    measures: "e",
    goal: "online - no cache, ms",
    value: ({ of }) => of("online", "ms") - of("no cache", "ms"),
    atMost: ({ delayMs }, { noiseOf }) => (delayMs ?? 0) + noiseOf("no cache", "ms"),
  },
  { measures: "g", goal: "ssh-ng / nix-tether", value: timesOf("ssh-ng"), atLeast: always(1) },
  {
    measures: "p",
    applies: far,
    goal: "sshfs / nix-tether",
    value: timesOf("sshfs"),
    // Of few large files both wait for the bytes, and ours are flushed to the disk besides.
    atLeast: ({ what }) => (what.includes("paths") ? 3 : 0.7),
  },
  { measures: "h", goal: "the hook, ms", value: ({ of }) => of(ours, "ms"), atMost: always(10) },
  {
    measures: "i",
    goal: "status / node -e 0",
    value: ({ of }) => of("status", "ms") / of("node -e 0", "ms"),
    atMost: always(1.3),
  },
  { measures: "j", goal: "RSS, MB", value: ({ of }) => of("RSS", "MB"), atMost: always(60) },
  { measures: "j", goal: "PSS, MB", value: ({ of }) => of("PSS", "MB"), atMost: always(20) },
  { measures: "j", goal: "CPU, ms/min", value: ({ of }) => of("CPU", "ms/min"), atMost: always(60) },
  {
    measures: "j",
    goal: "the most frequent timer, s on average",
    value: ({ of }) => of("most frequent", "s"),
    atLeast: always(5),
  },
  {
    measures: "k",
    goal: "carrier lost to unlisted, ms",
    value: ({ of }) => of("cable pulled", "ms"),
    atMost: always(100),
  },
  {
    measures: "k",
    goal: "first mDNS answer to listed, ms",
    value: ({ of }) => of("mDNS answer", "ms"),
    atMost: always(300),
  },
  {
    measures: "k",
    goal: "silent loss to unlisted, ms",
    value: ({ of }) => of("silent loss", "ms"),
    atMost: always(10_000),
  },
  {
    measures: "r",
    goal: "nix-tether / ssh -L, MB/s",
    value: partOf("ssh -L", "MB/s"),
    atLeast: always(0.95),
  },
  {
    measures: "s",
    applies: ({ what }) => what.includes("CPU"),
    goal: "most / least, CPU for the same work",
    value: ({ growth }) => growth("ms"),
    // Each process has connections of its own.
    atMost: ({ what }) => (what.includes("process") ? 2 : 1.5),
  },
  {
    measures: "s",
    applies: ({ what }) => what.includes("RSS"),
    goal: "most / least, RSS",
    value: ({ growth }) => growth("MB"),
    atMost: always(1.5),
  },
  {
    measures: "s",
    goal: "most / least, idle CPU of each cache",
    value: ({ growth }) => growth("ms/min"),
    atMost: always(1),
  },
  {
    measures: "l",
    goal: "longest turn freely, ms of CPU",
    value: ({ of }) => of("freely, CPU", "ms"),
    atMost: always(50),
  },
  {
    measures: "l",
    goal: "longest turn with a quota, ms of CPU",
    value: ({ of }) => of("with a quota, CPU", "ms"),
    atMost: always(50),
  },
  // Without a bus that tells of the network, it is looked at every two seconds.
  { measures: "l", goal: "CPU, ms/min", value: ({ of }) => of("CPU", "ms/min"), atMost: always(100) },
];

/** Every goal that these series tell of. */
export function judge(series: readonly Series[]): Verdict[] {
  const settings = series.filter((one, at) => series.findIndex((other) => sameSetting(one, other)) === at);
  return settings.flatMap((setting) => rules.flatMap((rule) => judgeIn(setting, rule, series)));
}

function judgeIn(setting: Setting, rule: Rule, series: readonly Series[]): Verdict[] {
  if (!rule.measures.includes(setting.measure) || rule.applies?.(setting) === false) return [];
  const values = (variant: string, unit: Unit): readonly number[] =>
    series.find((one) => sameSetting(one, setting) && one.variant === variant && one.unit === unit)?.values ??
    [];
  const measured: Measured = {
    of: (variant, unit) => median(values(variant, unit)),
    noiseOf: (variant, unit) => noise(values(variant, unit)),
    growth: (unit) => {
      const all = series.filter((one) => sameSetting(one, setting) && one.unit === unit);
      const [first, last] = [all[0], all.at(-1)];
      return first === undefined || first === last ? NaN : median(last?.values ?? []) / median(first.values);
    },
  };
  const value = rule.value(measured);
  if (Number.isNaN(value)) return [];
  const { measure, what, nix, delayMs } = setting;
  const common = { measure, what, nix, delayMs, goal: rule.goal, value };
  const least = rule.atLeast?.(setting);
  if (least !== undefined) return [{ ...common, wanted: `≥ ${inDigits(least)}`, reached: value >= least }];
  const most = rule.atMost?.(setting, measured) ?? Infinity;
  return [{ ...common, wanted: `≤ ${inDigits(most)}`, reached: value <= most }];
}

function inDigits(value: number): string {
  return String(Number(value.toPrecision(3)));
}
