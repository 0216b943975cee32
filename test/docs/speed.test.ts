// The figures that the documentation gives are those of one run of the bench.

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { machineText, reportText, summaryText, type Report } from "../../bench/report.js";

const text = (name: string): string => readFileSync(new URL(`../../${name}`, import.meta.url), "utf8");
const report = JSON.parse(text("bench/results.json")) as Report;

test("docs/speed.md has all of bench/results.json, as `npm run bench -- --markdown` prints it", () => {
  expect(text("docs/speed.md")).toContain(reportText(report, "markdown"));
});

test("the README has its first table over Wi-Fi, and names the machine", () => {
  expect(text("README.md")).toContain(summaryText(report));
  expect(text("README.md")).toContain(machineText(report));
});
