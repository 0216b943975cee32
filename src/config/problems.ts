// Says what is wrong with a configuration that is TOML but does not fit the schema: where, what was found, what
// is expected, and for a mistyped key which one was probably meant.

import { parse } from "smol-toml";
import type { z } from "zod";
import { printable } from "../util/printable.js";
import { nearest } from "../util/suggest.js";
import { kindsWith, namesAt, valueAt } from "./keys.js";

type Path = readonly PropertyKey[];

interface Problem {
  readonly path: Path;
  readonly text: string;
}

/** Looking for a line parses the text again for each line of it: fine for a person's file, not for a large one. */
const maxLocatableLength = 64 * 1024;

/** Every problem, in the order of the file: one goes behind "FILE: ", several become an indented list. */
export function problemsText(source: string, document: unknown, error: z.ZodError): string {
  const lines = error.issues
    .flatMap((issue) => problems(issue, document))
    .map(({ path, text }) => ({ line: lineOf(source, path), text: `${dotted(path)}: ${text}` }))
    .toSorted((a, b) => (a.line ?? Infinity) - (b.line ?? Infinity))
    .map(({ line, text }) => (line === null ? text : `line ${line}: ${text}`));
  const [only] = lines;
  if (only !== undefined && lines.length === 1) return only;
  return `${lines.length} problems\n${lines.map((line) => `  ${line}`).join("\n")}`;
}

function problems(issue: z.core.$ZodIssue, document: unknown): Problem[] {
  const { path } = issue;
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => unknownKey([...path, key], key, document));
  }
  if (issue.code === "invalid_key") {
    return [{ path, text: `not a good name, expected ${issue.issues[0]?.message ?? "another"}` }];
  }
  const found = valueAt(document, path);
  const expected = wantsTable(issue) ? "a table" : issue.message;
  return [
    { path, text: `${found === undefined ? "missing" : `found ${inWords(found)}`}, expected ${expected}` },
  ];
}

function unknownKey(path: Path, key: string, document: unknown): Problem {
  const table = path.slice(0, -1);
  const known = namesAt(table, document);
  const kinds = kindsWith(table, key);
  const value = valueAt(document, path);
  if (kinds.length > 0) return { path, text: `only for a cache with type = ${JSON.stringify(kinds[0])}` };
  const meant = nearest(key, known);
  if (meant !== undefined) return { path, text: `unknown key, did you mean ${JSON.stringify(meant)}?` };
  if (path.length === 1 && isTable(value) && Object.hasOwn(value, "host")) {
    return { path, text: `unknown table, did you mean [caches.${key}]?` };
  }
  return { path, text: `unknown key; known here: ${known.join(", ")}` };
}

function wantsTable(issue: z.core.$ZodIssue): boolean {
  return issue.code === "invalid_type" && (issue.expected === "object" || issue.expected === "record");
}

/** As it would be written in TOML, and shortened. */
function inWords(value: unknown): string {
  if (typeof value === "string") {
    const text = printable(withoutPassword(value));
    return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
  }
  if (Array.isArray(value)) return "a list";
  if (value instanceof Date) return "a date";
  if (isTable(value)) return "a table";
  return String(value);
}

/**
 * The line on which the value at `path` begins, or null where that can not be told. The first lines that make a
 * document with that value end where it ends; the longest document without it ends just before it begins.
 */
function lineOf(source: string, path: Path): number | null {
  if (source.length > maxLocatableLength) return null;
  const lines = source.split("\n");
  let before = 0;
  for (let count = 1; count <= lines.length; count++) {
    const document = tryParse(lines.slice(0, count).join("\n"));
    if (document === null) continue;
    if (valueAt(document, path) !== undefined) return before + 1;
    before = count;
  }
  // What is missing is looked for at its table.
  return path.length > 1 ? lineOf(source, path.slice(0, -1)) : null;
}

function tryParse(text: string): unknown {
  try {
    return parse(text);
  } catch {
    return null;
  }
}

/** A message may end up in a log. */
function withoutPassword(text: string): string {
  return text.replaceAll(/\/\/[^/@\s]*@/g, "//…@");
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

/** `caches."my pi".port`, `caches.pi.public-keys[1]`. */
function dotted(path: Path): string {
  return path
    .map((segment, index) => {
      if (typeof segment === "number") return `[${segment}]`;
      const name = String(segment);
      const key = /^[A-Za-z0-9_-]+$/.test(name) ? name : JSON.stringify(printable(name));
      return index === 0 ? key : `.${key}`;
    })
    .join("");
}
