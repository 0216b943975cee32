// What a run of the bench has found, and how it is told: in a terminal, and in Markdown for the documentation.

import type { Verdict } from "./goals.js";
import type { Machine } from "./machine.js";
import { sameSetting, type Series } from "./series.js";
import { median, threeDigits } from "./statistics.js";
import { seriesTable, table, verdictTable, type Style } from "./table.js";

/** What --out writes. */
export interface Report {
  readonly at: string;
  readonly machine: Machine;
  /** Load averages of a minute before and after. */
  readonly load: readonly [number, number];
  /** What the delaying proxy really adds: for each round trip asked for, the one measured, in milliseconds. */
  readonly delays: Readonly<Record<string, number>>;
  readonly series: readonly Series[];
  readonly verdicts: readonly Verdict[];
  /** Letters of what could not be measured, or not all of it. */
  readonly failed: readonly string[];
}

/** All of it. */
export function reportText(report: Report, style: Style): string {
  const { machine, delays, series, verdicts } = report;
  const facts = [
    machineText(report),
    `${machine.kernel}, OpenSSH ${machine.openssh}, nginx ${machine.nginx}, Nix ${machine.nix.join(" and ")}`,
    `ssh2's native ciphers: ${machine.nativeCiphers ? "yes" : "no"}; load ${report.load.join(" before, ")} after`,
    `round trips as measured: ${Object.entries(delays)
      .map(([asked, got]) => `${asked} ms: ${got}`)
      .join(", ")}`,
  ];
  if (report.failed.length > 0) facts.push(`not all was measured of: ${report.failed.join(", ")}`);
  const bullet = style === "markdown" ? "- " : "";
  const tables = [comparisonTable(series, style), verdictTable(verdicts, style), seriesTable(series, style)];
  return [facts.map((fact) => `${bullet}${fact}\n`).join(""), ...tables].join("\n");
}

/** What a reader of the README wants to know: the newest Nix, over a Wi-Fi's round trip. */
export function summaryText({ series }: Report): string {
  const nix = series.find((one) => one.nix !== null)?.nix ?? null;
  return comparisonTable(
    series.filter((one) => one.nix === nix && one.delayMs === 3),
    "markdown",
  );
}

/** Where and when. */
export function machineText({ machine, at }: Report): string {
  return `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGB} GB, Node ${machine.node}, ${at.slice(0, 10)}`;
}

const peers = ["nix-tether", "ssh-ng", "nginx"] as const;
const compared = "abcdfg";

/** Seconds of each way side by side, for what was fetched, asked for or sent in at least two ways. */
function comparisonTable(series: readonly Series[], style: Style): string {
  const timed = series.filter(({ measure, unit }) => unit === "s" && compared.includes(measure));
  const rows = timed
    .filter((one, at) => timed.findIndex((other) => sameSetting(one, other)) === at)
    .map((setting) => {
      const seconds = peers.map((peer) => {
        const found = timed.find((one) => one.variant === peer && sameSetting(one, setting));
        return found === undefined ? "" : threeDigits(median(found.values));
      });
      return { setting, seconds };
    })
    .filter(({ seconds }) => seconds.filter((text) => text !== "").length > 1)
    .map(({ setting, seconds }) => [
      setting.what,
      setting.nix ?? "",
      setting.delayMs === null ? "" : `${setting.delayMs} ms`,
      ...seconds,
    ]);
  return table(["seconds", "Nix", "round trip", "nix-tether", "ssh-ng://", "nginx"], rows, style);
}
