// Loaded into our daemon before it (`node --import`): watches how often each of its timers goes off. At each SIGUSR2 it writes
// to stderr, as a line of JSON, which one has gone off most often since the last time. It imports nothing but Node's own modules.

import { syncBuiltinESMExports } from "node:module";
import process from "node:process";
import timers from "node:timers";

/** What was seen since the last report; null where no timer has gone off twice, which is the least that says how often. */
export type MostFrequent = {
  /** The function that set it, with its place. */
  readonly site: string;
  /** How far apart it went off on average, in seconds. Those that do so in bursts rest between them. */
  readonly everySeconds: number;
} | null;

type Callback = (...args: unknown[]) => unknown;
type Set = (callback: Callback, ms?: number, ...args: unknown[]) => unknown;

/** These set timers on behalf of others. */
const helpers = /node:internal|timer-watch|util\/abort\.js/;

let since = performance.now();
let wentOff = new Map<string, number>();

function watched(set: Set): Set {
  const replacement: Set = (callback, ms, ...args) => {
    const lines = new Error("").stack?.split("\n").slice(1) ?? [];
    const site = lines.find((line) => !helpers.test(line))?.trim() ?? "Node itself";
    const noting: Callback = (...given) => {
      wentOff.set(site, (wentOff.get(site) ?? 0) + 1);
      return callback(...given);
    };
    return set(noting, ms, ...args);
  };
  return Object.defineProperties(replacement, Object.getOwnPropertyDescriptors(set));
}

for (const name of ["setTimeout", "setInterval"] as const) {
  const replacement = watched(timers[name] as Set) as never;
  timers[name] = replacement;
  globalThis[name] = replacement;
}
syncBuiltinESMExports();

process.on("SIGUSR2", () => {
  const seconds = (performance.now() - since) / 1000;
  const [[site, times] = ["", 0]] = [...wentOff].toSorted(([, a], [, b]) => b - a);
  since = performance.now();
  wentOff = new Map();
  // One less: the first may have gone off as this began, and the last as it ended.
  const found: MostFrequent = times > 1 ? { site, everySeconds: seconds / (times - 1) } : null;
  process.stderr.write(`${JSON.stringify({ timers: found })}\n`);
});
