// Nix under a hail of faults: a short one with fixed seeds, or a long one with any.
//   CHAOS_MINUTES=60 CHAOS_SEED=anything CHAOS_NIX=2.34 npx vitest run --project lab test/lab/chaos

import { describe, expect, it } from "vitest";
import { runChaos } from "./chaos/chaos.js";
import { deals } from "./chaos/faults.js";
import { jobs } from "./chaos/jobs.js";
import type { Lab, NixVersion } from "./lab.js";
import type { Tether } from "./tether.js";
import { useTetheredLab } from "./tethered-lab.js";

const { CHAOS_MINUTES, CHAOS_SEED, CHAOS_NIX } = process.env;
const minutes = Number(CHAOS_MINUTES ?? "0.75");
const durationMs = minutes * 60_000;
const echo = CHAOS_MINUTES !== undefined;
/** Between them these deal every fault in the short time. */
const shortSeeds = { "2.8": "cherry", "2.34": "peach" } as const;
const runs: readonly (readonly [NixVersion, string])[] = (["2.8", "2.34"] as const)
  .filter((nix) => CHAOS_NIX === undefined || CHAOS_NIX === nix)
  .map((nix) => [nix, CHAOS_SEED ?? shortSeeds[nix]]);

it("deals the same faults and jobs for the same seed, and others for another", () => {
  const first = (seed: string): string => {
    const [dealt, asked] = [deals(seed, "real"), jobs(seed)];
    return JSON.stringify(Array.from({ length: 100 }, () => [dealt.next().value, asked.next().value]));
  };
  expect(first("a")).toBe(first("a"));
  expect(first("a")).not.toBe(first("b"));
});

describe.each(runs)("with Nix %s and the seed %s", (nix, seed) => {
  let lab: Lab;
  let tether: Tether;

  useTetheredLab({ nix }, (up) => ({ lab, tether } = up));

  it("ends every command well and in time", { timeout: durationMs + 600_000 }, async () => {
    const long = minutes >= 2;
    const verdict = await runChaos(lab, tether, { seed, durationMs, pace: long ? "real" : "brisk", echo });
    const { failures, journal, ...counts } = verdict;
    process.stderr.write(`chaos, Nix ${nix}, seed ${seed}: ${JSON.stringify(counts)}\n`);
    if (failures.length > 0) process.stderr.write(`${journal}\n`);
    expect(failures.join("\n\n")).toBe("");
    // Otherwise nothing was tried.
    expect(Math.min(counts.faults, counts.fromPi, counts.fromSecond, counts.built)).toBeGreaterThan(0);
  });
});
