// Remembers what known_hosts says of a host as long as the files are the same, so that a machine that is seen again can be
// dialled at once: running ssh-keygen for each file and name takes longer than agreeing on session keys.

import { stat } from "node:fs/promises";
import { findKnownKeys, knownHostsNames, type FindKnownKeys, type KnownKey } from "./known-hosts.js";
import type { SshSettings } from "./ssh-config.js";

/**
 * A file that changed less than this many milliseconds ago may change once more without its times telling: some file
 * systems count in steps of seconds.
 */
const UNSETTLED_MS = 3_000;

/** The search, for one host: what it found last is remembered. `now` is `Date.now`. */
export function rememberKnownKeys(find: FindKnownKeys = findKnownKeys, now = Date.now): FindKnownKeys {
  let last: { readonly of: string; readonly keys: readonly KnownKey[] } | null = null;
  return async (settings, port, deps) => {
    // Before the search: what changes while it runs makes the next one look again.
    const of = await stateOf(settings, port, now());
    if (of !== null && last?.of === of) return [...last.keys];
    const keys = await find(settings, port, deps);
    last = of === null ? null : { of, keys };
    return keys;
  };
}

/** What was searched for and how the files are, as one text; null where that is not to be relied on. */
async function stateOf(settings: SshSettings, port: number, now: number): Promise<string | null> {
  const { knownHostsFiles, revokedHostKeys, knownAs } = settings;
  const files = [...knownHostsFiles, ...(revokedHostKeys === null ? [] : [revokedHostKeys])];
  const states = await Promise.all(files.map((file) => stateOfFile(file, now)));
  if (states.includes(null)) return null;
  return JSON.stringify([knownHostsNames(settings, port), knownAs, files, states]);
}

async function stateOfFile(file: string, now: number): Promise<string | null> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs, ctimeMs } = await stat(file, { bigint: true });
    if (now - Number(ctimeMs) < UNSETTLED_MS) return null;
    return [dev, ino, size, mtimeNs, ctimeNs].join(" ");
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" ? "missing" : null;
  }
}
