// Some of a far store's paths, for who wants to judge all of them, over a connection of its own.

import type { Duplex } from "node:stream";
import { queryAllValidPaths, queryPathInfo } from "../protocol/operations.js";
import type { PathInfo } from "../protocol/path-info.js";
import { createOpener } from "./opener.js";

/** For the connection, in milliseconds. */
const openMs = 5_000;

/**
 * What the store knows of up to `count` of its paths, taken from all over it, without derivations. Rejects with the
 * signal's reason, code `timeout`, or an error of the protocol.
 */
export async function samplePaths(
  openDaemon: () => Promise<Duplex>,
  count: number,
  signal: AbortSignal,
): Promise<PathInfo[]> {
  const opener = createOpener(openDaemon, openMs);
  const client = await opener.open("check", signal);
  const onAbort = (): void => client.destroy(signal.reason as Error);
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    const all = await client.ask(queryAllValidPaths());
    const paths = all.filter((path) => !path.endsWith(".drv")).toSorted();
    // They begin with their hashes, so that what stands far apart has nothing in common.
    const step = Math.max(1, paths.length / count);
    const chosen = paths.filter((_, index) => Math.floor(index % step) === 0).slice(0, count);
    const infos = await Promise.all(chosen.map((path) => client.ask(queryPathInfo(path))));
    // One may have been collected meanwhile.
    return infos.filter((info) => info !== null);
  } finally {
    signal.removeEventListener("abort", onAbort);
    client.destroy();
    opener.close();
  }
}
