// Chooses how to reach the remote nix-daemon, once per link, by a real handshake on each way that may work.

import { once } from "node:events";
import type { Duplex } from "node:stream";
import { TetherError, messageOf } from "../util/errors.js";
import { delay } from "../util/abort.js";
import { brief } from "./brief.js";
import { STDIO_COMMAND, type Channels } from "./channels.js";
import type { DaemonInfo, Transport } from "./link.js";
import type { LinkConfig } from "./ssh-config.js";

/** The worker protocol's handshake on a fresh stream; rejects within `ms` milliseconds when it does not succeed. */
export type Handshake = (stream: Duplex, ms: number) => Promise<DaemonInfo>;

/** The way that works. */
export interface Reached {
  readonly transport: Transport;
  readonly daemon: DaemonInfo;
}

const HANDSHAKE_MS = 5_000;
// A program that could not start says so on stderr just before its channel closes.
const STDERR_MS = 300;

/** Rejects with `daemon-unreachable`, naming what each way said. */
export async function chooseTransport(
  config: LinkConfig,
  channels: Channels,
  handshake: Handshake,
  login: string,
): Promise<Reached> {
  const ways: readonly Transport[] = config.transport === "auto" ? ["socket", "stdio"] : [config.transport];
  const reasons: { transport: Transport; why: string }[] = [];
  for (const transport of ways) {
    const result = await tryTransport(transport, channels, handshake);
    if (typeof result !== "string") return { transport, daemon: result };
    reasons.push({ transport, why: result });
  }
  const texts = reasons.map(({ transport, why }) => `${transport}: ${why}`);
  throw new TetherError(
    "daemon-unreachable",
    `${login} is reached, its nix-daemon is not; ${texts.join("; ")}`,
    {
      remedy: remedyFor(ways, texts.join(" ")),
    },
  );
}

/** What the daemon told, or why it did not. */
async function tryTransport(
  transport: Transport,
  channels: Channels,
  handshake: Handshake,
): Promise<DaemonInfo | string> {
  const stream = await channels.open(transport).catch((error: unknown) => messageOf(error));
  if (typeof stream === "string") return brief(stream);
  try {
    return await handshake(stream, HANDSHAKE_MS);
  } catch (error) {
    if (transport === "stdio" && !stream.closed) {
      await Promise.race([once(stream, "close").catch(() => undefined), delay(STDERR_MS)]);
    }
    const said = brief(stream.stderrTail);
    return `${transport === "stdio" ? `${STDIO_COMMAND}: ` : ""}${said === "" ? messageOf(error) : said}`;
  } finally {
    stream.destroy();
  }
}

function remedyFor(ways: readonly Transport[], texts: string): string {
  const forSocket =
    "for the socket, the user must be allowed to use it (group nix-users on Debian) and sshd must allow " +
    "AllowStreamLocalForwarding";
  const forStdio = /not found|no such file/i.test(texts)
    ? "for stdio, nix-daemon must be installed and in the PATH of non-interactive logins"
    : `for stdio, the user must be allowed to run "${STDIO_COMMAND}"`;
  const needed = ways.map((way) => (way === "socket" ? forSocket : forStdio)).join("; ");
  return `On that machine, ${ways.length > 1 ? "one of these is needed: " : ""}${needed}.`;
}
