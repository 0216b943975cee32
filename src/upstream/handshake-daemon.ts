// Asks one stream the question that decides whether a cache is online: does a nix-daemon answer there?

import type { Duplex } from "node:stream";
import type { DaemonInfo } from "../link/link.js";
import { DaemonClient } from "./daemon-client.js";

/**
 * Shakes hands with the nix-daemon at the other end of `stream` within `ms` milliseconds and closes the stream,
 * whatever comes of it. Rejects with code `timeout`, or what the protocol says: `bad-magic`, `closed`,
 * `unsupported-version`, `daemon-error`.
 */
export async function handshakeDaemon(stream: Duplex, ms: number): Promise<DaemonInfo> {
  const client = await DaemonClient.connect(stream, { ms });
  client.destroy();
  return client.info;
}
