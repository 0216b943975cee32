// The table of configuration keys in README.md, made from the schema.

import { configKeys, type ConfigKey } from "./keys.js";

/** The lines in README.md between which the table stands. */
export const tableMarkers = { begin: "<!-- config-table -->", end: "<!-- /config-table -->" } as const;

/** A Markdown table of every key, ending without a newline. Columns are aligned, as prettier wants them. */
export function referenceTable(): string {
  const rows = configKeys().map((key) => [
    `\`${key.path.join(".")}\``,
    key.expected,
    fallback(key),
    key.description,
  ]);
  const table = [["Key", "Value", "Default", "Meaning"], ...rows].map((row) =>
    row.map((cell) => cell.replaceAll("|", "\\|")),
  );
  const [head = [], ...body] = table;
  const widths = head.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  const rule = widths.map((width) => "-".repeat(width));
  return [head, rule, ...body]
    .map((row) => `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`)
    .join("\n");
}

/** `text` with the table between its markers replaced by the present one; null where the markers are missing. */
export function withReferenceTable(text: string): string | null {
  const begin = text.indexOf(tableMarkers.begin);
  const end = text.indexOf(tableMarkers.end);
  if (begin < 0 || end < begin) return null;
  const head = text.slice(0, begin + tableMarkers.begin.length);
  return `${head}\n\n${referenceTable()}\n\n${text.slice(end)}`;
}

function fallback(key: ConfigKey): string {
  if (key.required) return "required";
  return key.fallback === null ? "" : `\`${key.fallback}\``;
}
