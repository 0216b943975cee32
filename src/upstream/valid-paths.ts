// Asks a far nix-daemon which of many paths it has, over a connection of its own.

import type { Duplex } from "node:stream";
import { queryValidPaths } from "../protocol/operations.js";
import { withDeadline } from "../util/abort.js";
import { createOpener } from "./opener.js";

/** Paths in one question: some 200 KB. */
const chunk = 2_000;

/** For the connection, and for the answer to each question, in milliseconds; the link may be busy. */
const deadlineMs = 30_000;

/** For an answer that comes after the daemon has fetched what it can, in milliseconds. */
const fetchMs = 15 * 60_000;

/**
 * Those of the paths that it has; with `fetch`, after it was told to fetch the others from its own substituters. Rejects with
 * code `timeout`, the signal's reason, or an error of the protocol.
 */
export async function askValidPaths(
  openDaemon: () => Promise<Duplex>,
  paths: readonly string[],
  signal: AbortSignal,
  { fetch } = { fetch: false },
): Promise<Set<string>> {
  const valid = new Set<string>();
  if (paths.length === 0) return valid;
  signal.throwIfAborted();
  const client = await createOpener(openDaemon, deadlineMs).open("check", signal);
  const onAbort = (): void => client.destroy(signal.reason as Error);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    for (let start = 0; start < paths.length; start += chunk) {
      const answer = client.ask(queryValidPaths(paths.slice(start, start + chunk), fetch));
      const ms = fetch ? fetchMs : deadlineMs;
      for (const path of await withDeadline(answer, ms, "asking which paths are there")) valid.add(path);
    }
    return valid;
  } finally {
    signal.removeEventListener("abort", onAbort);
    client.destroy();
  }
}
