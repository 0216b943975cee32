// Measurements and verdicts as tables, for a terminal or in Markdown.

import type { Verdict } from "./goals.js";
import { sameSetting, type Series, type Setting } from "./series.js";
import { median, spread, threeDigits } from "./statistics.js";

export type Style = "plain" | "markdown";

/** One row for each series; `ratio` is its median to that of the first of its setting with the same unit. */
export function seriesTable(series: readonly Series[], style: Style): string {
  const head = ["", "measured", "Nix", "round trip", "who", "median", "unit", "least–most", "n", "ratio"];
  const rows = series.map((one) => {
    const first = series.find((other) => sameSetting(one, other) && other.unit === one.unit) ?? one;
    const [least, most] = spread(one.values);
    const ratio =
      one === first || !comparable(one) ? "" : (median(one.values) / median(first.values)).toFixed(2);
    return [
      ...settingCells(one),
      one.variant,
      threeDigits(median(one.values)),
      one.unit,
      `${threeDigits(least)}–${threeDigits(most)}`,
      String(one.values.length),
      ratio,
    ];
  });
  return table(head, rows, style);
}

/** In the others the variants are different things. */
function comparable({ measure }: Setting): boolean {
  return measure !== "j" && measure !== "k";
}

/** One row for each goal. */
export function verdictTable(verdicts: readonly Verdict[], style: Style): string {
  const head = ["", "measured", "Nix", "round trip", "goal", "value", "wanted", ""];
  const rows = verdicts.map((one) => [
    ...settingCells(one),
    one.goal,
    threeDigits(one.value),
    one.wanted,
    one.reached ? "reached" : "MISSED",
  ]);
  return table(head, rows, style);
}

function settingCells({ measure, what, nix, delayMs }: Setting): string[] {
  return [measure, what, nix ?? "", delayMs === null ? "" : `${delayMs} ms`];
}

/** Columns are as wide as their widest cell. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], style: Style): string {
  const all = [head, ...rows];
  // Prettier's least width in Markdown.
  const least = style === "markdown" ? 3 : 0;
  const widths = head.map((_, column) =>
    Math.max(least, ...all.map((row) => [...(row[column] ?? "")].length)),
  );
  const line = (row: readonly string[]): string[] =>
    row.map((cell, column) => cell + " ".repeat((widths[column] ?? 0) - [...cell].length));
  if (style === "plain") return `${all.map((row) => line(row).join("  ").trimEnd()).join("\n")}\n`;
  const rule = widths.map((width) => "-".repeat(width));
  const lines = [line(head), rule, ...rows.map(line)];
  return `${lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n")}\n`;
}
