// The tables of configuration keys in docs/configuration.md, made from the schema.

import { configKeys, tableDescription, type ConfigKey } from "./keys.js";

/** The lines of the page between which the tables stand. */
export const tableMarkers = { begin: "<!-- config-keys -->", end: "<!-- /config-keys -->" } as const;

/** A heading, a sentence and a Markdown table of its keys for each table of the file, ending without a newline. */
export function referenceTables(): string {
  const keys = configKeys();
  const headingOf = ({ path, kind }: ConfigKey): string => {
    const name = path.slice(0, -1).join(".");
    const table = name.endsWith("[]") ? `[[${name.slice(0, -2)}]]` : `[${name}]`;
    return kind === null ? `\`${table}\`` : `\`${table}\` with \`type = "${kind}"\``;
  };
  return [...new Set(keys.map(headingOf))]
    .map((heading) => {
      const group = keys.filter((key) => headingOf(key) === heading);
      const [{ path, kind } = { path: [], kind: null }] = group;
      return `## ${heading}\n\n${tableDescription(path.slice(0, -1), kind)}\n\n${markdownTable(group)}`;
    })
    .join("\n\n");
}

/** `text` with the tables between its markers replaced by the present ones; null where the markers are missing. */
export function withReferenceTables(text: string): string | null {
  const begin = text.indexOf(tableMarkers.begin);
  const end = text.indexOf(tableMarkers.end);
  if (begin < 0 || end < begin) return null;
  const head = text.slice(0, begin + tableMarkers.begin.length);
  return `${head}\n\n${referenceTables()}\n\n${text.slice(end)}`;
}

/** Columns are aligned, as prettier wants them. */
function markdownTable(keys: readonly ConfigKey[]): string {
  const rows = keys.map((key) => [
    `\`${key.path.at(-1) ?? ""}\``,
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

function fallback(key: ConfigKey): string {
  if (key.required) return "required";
  return key.fallback === null ? "" : `\`${key.fallback}\``;
}
