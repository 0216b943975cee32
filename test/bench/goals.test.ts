import { describe, expect, it } from "vitest";
import { judge } from "../../bench/goals.js";
import { Recorder, type Setting } from "../../bench/series.js";
import { seriesTable, verdictTable } from "../../bench/table.js";

function small(nix: string, delayMs: number): Setting {
  return { measure: "a", what: "2000 small paths", nix, delayMs };
}

function recorded(setting: Setting, seconds: Readonly<Record<string, readonly number[]>>): Recorder {
  const recorder = new Recorder();
  for (const [variant, values] of Object.entries(seconds)) recorder.add(setting, variant, "s", ...values);
  return recorder;
}

describe("goals", () => {
  it("compares medians of one setting, with the limits of that setting", () => {
    const times = { "nix-tether": [2, 9, 1.9], "ssh-ng": [6, 6.2, 6.1], nginx: [2, 2, 2] };
    const at = (setting: Setting): unknown[] =>
      judge(recorded(setting, times).series).map(({ value, wanted, reached }) => [value, wanted, reached]);
    expect(at(small("2.34", 3))).toEqual([
      [3.05, "≥ 3.5", false],
      [1, "≤ 1.05", true],
    ]);
    expect(at(small("2.8", 3))[0]).toEqual([3.05, "≥ 2.3", true]);
    expect(at(small("2.34", 0))[0]).toEqual([3.05, "≥ 1.5", true]);
  });

  it("says nothing of what was not measured, and mixes no settings", () => {
    expect(judge(recorded(small("2.34", 3), { "nix-tether": [1] }).series)).toEqual([]);
    const [near, distant] = [small("2.34", 0), small("2.34", 3)];
    const series = [
      ...recorded(near, { "nix-tether": [1] }).series,
      ...recorded(distant, { "ssh-ng": [9] }).series,
    ];
    expect(judge(series)).toEqual([]);
  });

  it("lets a difference be as large as the noise", () => {
    const setting = { measure: "e", what: "nix build", nix: "2.34", delayMs: 3 };
    const difference = (away: number): boolean | undefined => {
      const recorder = new Recorder();
      recorder.add(setting, "no cache", "ms", 90, 95, 100, 105, 110);
      recorder.add(setting, "away", "ms", away);
      return judge(recorder.series)[0]?.reached;
    };
    expect(difference(105)).toBe(true);
    expect(difference(120)).toBe(false);
  });
});

describe("growth", () => {
  it("compares the last in the order of the work with the first", () => {
    const setting = { measure: "s", what: "500 questions, CPU", nix: "2.34", delayMs: 0 };
    const judged = (...medians: readonly number[]): unknown[] => {
      const recorder = new Recorder();
      for (const [at, value] of medians.entries()) recorder.add(setting, `${10 ** at} paths`, "ms", value);
      return judge(recorder.series).map(({ value, reached }) => [value, reached]);
    };
    expect(judged(10, 99, 12)).toEqual([[1.2, true]]);
    expect(judged(10, 10, 20)).toEqual([[2, false]]);
    expect(judged(10)).toEqual([]);
  });
});

describe("tables", () => {
  const recorder = recorded(small("2.34", 3), { "nix-tether": [2, 4, 3], "ssh-ng": [12] });

  it("have a row for each series, with its ratio to the first", () => {
    const rows = seriesTable(recorder.series, "markdown").trim().split("\n");
    expect(rows).toHaveLength(4);
    const cells = (row = ""): string[] => row.split("|").map((cell) => cell.trim());
    expect(cells(rows[2])).toEqual([
      "",
      "a",
      "2000 small paths",
      "2.34",
      "3 ms",
      "nix-tether",
      "3.00",
      "s",
      "2.00–4.00",
      "3",
      "",
      "",
    ]);
    expect(cells(rows[3])).toEqual([
      "",
      "a",
      "2000 small paths",
      "2.34",
      "3 ms",
      "ssh-ng",
      "12.0",
      "s",
      "12.0–12.0",
      "1",
      "4.00",
      "",
    ]);
  });

  it("are aligned for a terminal", () => {
    const rows = seriesTable(recorder.series, "plain").trimEnd().split("\n");
    expect(new Set(rows.map((row) => row.search(/who|nix-tether|ssh-ng/))).size).toBe(1);
    expect(verdictTable(judge(recorder.series), "plain")).toMatch(
      /ssh-ng \/ nix-tether +4\.00 +≥ 3\.5 +reached/,
    );
  });
});
