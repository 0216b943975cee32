// How a run of the bench is told.

import { describe, expect, test } from "vitest";
import { judge } from "../../bench/goals.js";
import { reportText, summaryText, type Report } from "../../bench/report.js";
import type { Series } from "../../bench/series.js";

const fetched = { measure: "a", what: "2000 small paths", nix: "2.34", delayMs: 3 };
const series: Series[] = [
  { ...fetched, variant: "nix-tether", unit: "s", values: [4, 5, 6] },
  { ...fetched, variant: "nix-tether's CPU", unit: "s", values: [1] },
  { ...fetched, variant: "ssh-ng", unit: "s", values: [20] },
  { ...fetched, variant: "nginx", unit: "s", values: [4.5] },
  { ...fetched, delayMs: 0, variant: "nix-tether", unit: "s", values: [3] },
  { ...fetched, delayMs: 0, variant: "nginx", unit: "s", values: [2] },
  { ...fetched, nix: "2.8", variant: "nix-tether", unit: "s", values: [9] },
  { ...fetched, nix: "2.8", variant: "ssh-ng", unit: "s", values: [30] },
  { ...fetched, what: "of one way alone", variant: "nix-tether", unit: "s", values: [1] },
];
const report: Report = {
  at: "2026-01-02T03:04:05.678Z",
  machine: {
    cpu: "Some CPU",
    cores: 4,
    memoryGB: 8,
    kernel: "Linux 6",
    node: "20.19.0",
    openssh: "9.2",
    nginx: "1.22",
    nix: ["2.34.1"],
    nativeCiphers: true,
  },
  load: [0.1, 1.2],
  delays: { 0: 0.04, 3: 3.1 },
  series,
  verdicts: judge(series),
  failed: [],
};

describe("a report", () => {
  test("puts those who did the same side by side, for a README the newest Nix over Wi-Fi alone", () => {
    expect(summaryText(report)).toBe(
      [
        "| seconds          | Nix  | round trip | nix-tether | ssh-ng:// | nginx |",
        "| ---------------- | ---- | ---------- | ---------- | --------- | ----- |",
        "| 2000 small paths | 2.34 | 3 ms       | 5.00       | 20.0      | 4.50  |",
        "",
      ].join("\n"),
    );
  });

  test("tells the machine, all times, every goal and every series", () => {
    const text = reportText(report, "plain");
    expect(text).toContain("Some CPU, 4 cores, 8 GB, Node 20.19.0, 2026-01-02\n");
    expect(text).toMatch(/^2000 small paths {2}2\.8 +3 ms +9\.00 +30\.0 *$/m);
    expect(text).toMatch(/^a +2000 small paths +2\.34 +3 ms +ssh-ng \/ nix-tether +4\.00 +≥ 3\.5 +reached$/m);
    expect(text).toMatch(/^a +2000 small paths +2\.34 +3 ms +nix-tether +5\.00 +s +4\.00–6\.00 +3$/m);
    expect(text).not.toContain("not all was measured");
    expect(reportText({ ...report, failed: ["k"] }, "plain")).toContain("not all was measured of: k\n");
  });
});
