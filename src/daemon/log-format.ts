// Turns pino's JSON line into the line that is written: sentence first, then fields, nothing secret, nothing that
// could forge a second line.

import { styleText } from "node:util";
import { printable } from "../util/printable.js";

/** `journal`: priority prefix, no time. `colour`, `terminal`: short time. `plain`: full time, for files and pipes. */
export type LogStyle = "journal" | "colour" | "terminal" | "plain";

interface LevelFace {
  readonly name: string;
  /** The priority of syslog(3) that sd-daemon(3) reads between angle brackets. */
  readonly priority: number;
  readonly style: Parameters<typeof styleText>[0];
}

/** By pino's numbers. */
const faces: ReadonlyMap<number, LevelFace> = new Map([
  [10, { name: "trace", priority: 7, style: "dim" }],
  [20, { name: "debug", priority: 7, style: "dim" }],
  [30, { name: "info", priority: 6, style: "green" }],
  [40, { name: "warn", priority: 4, style: "yellow" }],
  [50, { name: "error", priority: 3, style: "red" }],
  [60, { name: "fatal", priority: 2, style: "red" }],
]);

const infoFace: LevelFace = { name: "info", priority: 6, style: "green" };

const secretKey = /pass(phrase|word)|private-?_?key|secret|token/i;

/** Formats one of pino's lines. With `stacks`, an error's stack follows on lines of its own. */
export function createLineFormat(style: LogStyle, stacks: boolean): (json: string) => string {
  return (json) => {
    const record = JSON.parse(json, redact) as Record<string, unknown>;
    const { level, time, msg, ...fields } = record;
    const face = faces.get(Number(level)) ?? infoFace;
    const error = [fields["err"], fields["error"]].find(isObject);
    const text = printable(typeof msg === "string" ? msg : (wordOf(error?.["message"]) ?? ""));
    const shown = Object.entries(fields)
      .flatMap(([key, value]) =>
        isObject(value) && value === error ? errorPairs(value, text) : [[key, value]],
      )
      .map(([key, value]) => `${String(key)}=${quoted(value)}`);
    const paint = (how: LevelFace["style"], what: string): string =>
      style === "colour" && what !== "" ? styleText(how, what, { validateStream: false }) : what;

    const head = frame(style, face, new Date(Number(time)), paint);
    const lines = [[text, paint("dim", shown.join(" "))].filter((part) => part !== "").join(" ")];
    if (stacks && error !== undefined) lines.push(...stackLines(error));
    return lines.map((line) => `${head}${line}\n`).join("");
  };
}

function frame(
  style: LogStyle,
  face: LevelFace,
  time: Date,
  paint: (how: LevelFace["style"], what: string) => string,
): string {
  switch (style) {
    case "journal":
      return `<${face.priority}>`;
    case "plain":
      return `${time.toISOString()} ${face.name} `;
    case "colour":
    case "terminal":
      return `${paint("dim", time.toTimeString().slice(0, 8))} ${paint(face.style, face.name.padEnd(5))} `;
  }
}

function redact(key: string, value: unknown): unknown {
  return secretKey.test(key) ? "[redacted]" : value;
}

/** The error's own message is left out where it is the sentence already. */
function errorPairs(error: Record<string, unknown>, text: string): [string, unknown][] {
  const message = wordOf(error["message"]) ?? "";
  const pairs: [string, unknown][] = [
    ["error", printable(message) === text ? undefined : message],
    ["code", error["code"]],
  ];
  return pairs.filter(([, value]) => value !== undefined);
}

function stackLines(error: Record<string, unknown>): string[] {
  const stack = wordOf(error["stack"]) ?? "";
  return stack
    .split("\n")
    .filter((line) => /^\s+at /.test(line))
    .map((line) => `  ${printable(line)}`);
}

/** As it is where it is one plain word, otherwise as JSON. */
function quoted(value: unknown): string {
  const text = typeof value === "string" ? printable(value) : JSON.stringify(value);
  return typeof value === "string" && !/^[^\s"=]+$/.test(text) ? JSON.stringify(text) : printable(text);
}

function wordOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
