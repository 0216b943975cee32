import { describe, expect, it } from "vitest";
import { interleave, rotated } from "../../bench/rounds.js";

describe("rounds", () => {
  it("begin with another one each time", () => {
    expect([0, 1, 2, 3].map((round) => rotated(["a", "b", "c"], round).join(""))).toEqual([
      "abc",
      "bca",
      "cab",
      "abc",
    ]);
  });

  it("leave out who was slow", async () => {
    let now = 0;
    const runs: string[] = [];
    await interleave(["quick", "slow"], { rounds: 3, slowMs: 100, now: () => now }, async (name) => {
      runs.push(name);
      now += name === "slow" ? 101 : 100;
    });
    expect(runs).toEqual(["quick", "slow", "quick", "quick"]);
  });
});
