// The report of the daemon as text for a person. Pure: the report, the time and the appearance decide every character.

import { styleText } from "node:util";
import type { CacheStateName, StatusReport } from "../control/messages.js";
import type { Appearance } from "./context.js";
import { statusFacts, nothing, type CacheFacts, type Cells } from "./status-facts.js";
import { plainStatus } from "./status-plain.js";
import { wrapped } from "./words.js";

export interface StatusTextOptions extends Appearance {
  /** Milliseconds since the epoch. */
  readonly now: number;
}

type Style = Parameters<typeof styleText>[0];
type Paint = (style: Style, text: string) => string;

const stateStyle: Record<CacheStateName, Style> = {
  online: "green",
  connecting: "yellow",
  waiting: "red",
  offline: "dim",
  paused: "yellow",
};

const headings: Record<keyof Cells, string> = {
  name: "CACHE",
  state: "STATE",
  since: "FOR",
  where: "WHERE",
  via: "VIA",
  listed: "IN NIX",
  given: "GIVEN",
};

/** The lines of `status` for the caches in `names`, each ended by a newline. */
export function statusText(
  report: StatusReport,
  names: readonly string[],
  options: StatusTextOptions,
): string {
  const { now, width, colour, plain } = options;
  const paint: Paint = (style, text) => (colour ? styleText(style, text, { validateStream: false }) : text);
  const facts = statusFacts(report, names, now);
  const lines = plain
    ? plainStatus(facts, now)
    : [
        ...cacheLines(facts.caches, width, paint),
        ...facts.remarks.flatMap((text) => ["", ...wrapped("", text, width)]),
        ...warningLines(facts.warnings, width, paint),
      ];
  return lines.map((line) => `${line.trimEnd()}\n`).join("");
}

/** A table; where that is too wide one without what is least missed, or else a few short lines for each cache. */
function cacheLines(caches: readonly CacheFacts[], width: number, paint: Paint): string[] {
  if (caches.length === 0) return ["No caches are configured."];
  const all = Object.keys(headings) as (keyof Cells)[];
  const widthOf = (column: keyof Cells): number =>
    Math.max(headings[column].length, ...caches.map(({ cells }) => cells[column].length));
  const fits = (columns: readonly (keyof Cells)[]): boolean =>
    columns.reduce((sum, column) => sum + widthOf(column) + 2, -2) <= width;
  const columns = [all, all.filter((column) => column !== "via")].find(fits);
  if (columns === undefined) return caches.flatMap((cache) => blockLines(cache, width, paint));
  const row = (cells: Record<keyof Cells, string>, paintState: (text: string) => string): string =>
    columns
      .map((column) => {
        const padded = cells[column].padEnd(widthOf(column));
        return column === "state" ? paintState(padded) : padded;
      })
      .join("  ");
  return [
    paint("bold", row(headings, (text) => text).trimEnd()),
    ...caches.flatMap(({ cells, notes }) => [
      row(cells, (text) => paint(stateStyle[cells.state], text)),
      ...notes.flatMap((note) => wrapped("    ", note, width)),
    ]),
  ];
}

function blockLines({ cells, notes }: CacheFacts, width: number, paint: Paint): string[] {
  const via = cells.via === nothing ? "" : `, by ${cells.via}`;
  const facts = [`at ${cells.where}${via}`, `in Nix: ${cells.listed}`, `given: ${cells.given}`];
  return [
    `${cells.name}: ${paint(stateStyle[cells.state], cells.state)} for ${cells.since}`,
    ...[...facts, ...notes].flatMap((fact) => wrapped("  ", fact, width)),
  ];
}

function warningLines(warnings: readonly string[], width: number, paint: Paint): string[] {
  const lines = warnings.flatMap((text) => {
    const [first = "", ...rest] = wrapped("! ", text, width);
    return [paint("yellow", "!") + first.slice(1), ...rest];
  });
  return lines.length === 0 ? [] : ["", ...lines];
}
