// What stands behind the words that a person chooses, so that a shell can find them without starting Node: that alone
// takes longer than a person wants to wait for a completion.

import type { CommandWord, Value } from "../command-line.js";

/** `queued`: what waits for its upload. `text`: nobody can know. */
export type Kind = "cache" | "file" | "queued" | "text";

const kinds: ReadonlyMap<string, Kind> = new Map([
  ["cache", "cache"],
  ["config", "file"],
  ["paths", "file"],
]);

/** What `value` of `command` may be, where it is no choice of a few words. Null where nobody has said. */
export function kindOf(command: CommandWord, value: Value): Kind | null {
  if (command.name === "queue" && value.name === "paths") return "queued";
  return kinds.get(value.name) ?? null;
}

/**
 * A regular expression (the extended kind, which sed and fish know as well) for the lines of config.toml that name a
 * cache, its name being the first group: `[caches.pi]`, `[caches."pi"]`, `caches.pi.host = …`. A table of inline tables is
 * not understood; nobody is harmed by a name that is not offered.
 */
export const cacheLine = `^[[:space:]]*\\[?[[:space:]]*caches[[:space:]]*\\.[[:space:]]*["']?([A-Za-z0-9_-]+).*`;
