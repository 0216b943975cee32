// What stands behind the words that a person chooses: how the manual calls them, and where a shell finds them without
// starting Node, which alone takes longer than one wants to wait for a completion.

import type { CommandWord, Value } from "./command-line.js";

/** `queued`: what waits for its upload. `target`: a static cache, or a folder. `text`: nobody can know. */
export type Kind = "cache" | "farm" | "file" | "queued" | "target" | "text";

interface KnownValue {
  readonly kind: Kind;
  /** In the manual. */
  readonly shown: string;
}

const known: ReadonlyMap<string, KnownValue> = new Map<string, KnownValue>([
  ["args", { kind: "file", shown: "arg" }],
  ["cache", { kind: "cache", shown: "cache" }],
  ["config", { kind: "file", shown: "file" }],
  ["farm", { kind: "farm", shown: "farm" }],
  ["fingerprint", { kind: "text", shown: "fingerprint" }],
  ["path", { kind: "file", shown: "path" }],
  ["paths", { kind: "file", shown: "path" }],
  ["installables", { kind: "file", shown: "installable" }],
  ["target", { kind: "target", shown: "target" }],
  ["older-than", { kind: "text", shown: "age" }],
  ["max-size", { kind: "text", shown: "size" }],
  ["keep", { kind: "text", shown: "name" }],
  ["wait", { kind: "text", shown: "time" }],
  ["folder", { kind: "file", shown: "folder" }],
  ["listen", { kind: "text", shown: "address" }],
  ["public-key", { kind: "text", shown: "key" }],
]);

/** What `value` of `command` may be, where it is no choice of a few words. Null where nobody has said. */
export function kindOf(command: CommandWord, value: Value): Kind | null {
  if (command.name === "queue" && value.name === "paths") return "queued";
  return known.get(value.name)?.kind ?? null;
}

/** What stands for `value` in a description of the command. */
export function shownName(value: Value): string {
  return known.get(value.name)?.shown ?? value.name;
}

/** The tables of config.toml whose names are completed. */
export const completedTables = ["caches", "farms", "static"] as const;

/** Below `[caches]`: `pi = { … }`, `pi.host = …`. */
const entryLine = `^[[:space:]]*["']?([A-Za-z0-9_-]+)["']?[[:space:]]*[.=].*`;

/** A script for `sed -nE` that prints the names in that table of config.toml, some more than once. */
export function namesIn(table: (typeof completedTables)[number]): string {
  // `[caches.pi]`, or `caches.pi.host = …` above all tables.
  const tableLine = `^[[:space:]]*\\[?[[:space:]]*${table}[[:space:]]*\\.[[:space:]]*["']?([A-Za-z0-9_-]+).*`;
  const below = `/^[[:space:]]*\\[[[:space:]]*${table}[[:space:]]*\\]/,/^[[:space:]]*\\[/`;
  return `s/${tableLine}/\\1/p;${below}s/${entryLine}/\\1/p`;
}
