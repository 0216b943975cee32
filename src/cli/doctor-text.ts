// The doctor's results for a person: a line each, and below it what to do.

import { styleText } from "node:util";
import type { Result } from "../doctor/check.js";
import type { Mark } from "../doctor/finding.js";
import { printable } from "../util/printable.js";
import { counted, wrapped } from "./words.js";

export interface DoctorTextOptions {
  readonly colour: boolean;
  /** Characters in a line; Infinity where lines may be of any length. */
  readonly width: number;
  /** Whether the reader's terminal can show more than ASCII. */
  readonly unicode: boolean;
  /** Whether results of several caches stand below each other. */
  readonly several: boolean;
}

const marks: Readonly<Record<Mark, { sign: string; ascii: string; style: Parameters<typeof styleText>[0] }>> =
  {
    ok: { sign: "✓", ascii: "ok", style: "green" },
    warning: { sign: "!", ascii: "!", style: "yellow" },
    failure: { sign: "✗", ascii: "FAIL", style: "red" },
    skipped: { sign: "–", ascii: "-", style: "dim" },
  };

/** The lines of one result, each ended by a newline. */
export function resultText(result: Result, options: DoctorTextOptions): string {
  const { colour, width, unicode, several } = options;
  const { sign, ascii, style } = marks[result.mark];
  const shown = unicode ? sign : ascii.padEnd(4);
  const whose = [several ? result.cache : null, result.way].filter((one) => one !== null).join(", ");
  const subject = whose === "" ? result.title : `${printable(whose)}: ${result.title}`;
  const [first = "", ...rest] = wrapped(`${shown} `, `${subject}: ${said(result.text)}`, width);
  const lines = [
    (colour ? styleText(style, shown, { validateStream: false }) : shown) + first.slice(shown.length),
    ...rest,
  ];
  if (result.remedy !== null) {
    const indent = " ".repeat(shown.length + 1);
    const [arrow] = unicode ? ["→ "] : ["> "];
    // An example of a file has lines of its own.
    const [advice = "", ...further] = result.remedy.split("\n");
    lines.push(...wrapped(`${indent}${arrow}`, said(advice), width));
    lines.push(...further.flatMap((line) => wrapped(`${indent}    `, said(line), width)));
  }
  return lines.map((line) => `${line}\n`).join("");
}

/** What it comes to, a line. */
export function summaryText(results: readonly Result[]): string {
  const failures = results.filter(({ mark }) => mark === "failure").length;
  const warnings = results.filter(({ mark }) => mark === "warning").length;
  const others = warnings === 0 ? "" : `, and ${counted(warnings, "remark")}`;
  if (failures === 0) return `All is well${others}.\n`;
  return `${counted(failures, "thing")} to mend${others}.\n`;
}

/** Line breaks within are ours no more: where they stand depends on the width. */
function said(text: string): string {
  return printable(text);
}
