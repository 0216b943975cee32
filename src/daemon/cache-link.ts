// A cache in reach, whatever kind it is of: what one try yields, and what its effects then stand on.

import type { Logger } from "pino";
import type { SshLink, Transport } from "../link/link.js";
import type { HttpLink } from "../upstream/http/http-link.js";
import { createDaemonUpstream } from "../upstream/daemon-upstream.js";
import type { Upstream } from "../upstream/upstream.js";
import { TetherError } from "../util/errors.js";

/** A cache that can be used, until `closed` settles. */
export interface CacheLink {
  readonly address: string;
  readonly port: number;
  /** The address of this machine that it is reached from; tells which interface it depends on. */
  readonly localAddress: string;
  readonly transport: Transport | "http" | "https";
  /** Of its SSH connection; null where it has none of its own. */
  readonly cipher: string | null;
  readonly nixVersion: string | null;
  /** What the forward and the uploads need; null where the cache has no nix-daemon. */
  readonly ssh: SshLink | null;
  /** The link of another cache that this one stands on; it is to be given up before that is. */
  readonly through: SshLink | null;
  /** What the gateway asks; for the time of the link. */
  openUpstream(): Upstream;
  /** Whether it answers within `ms` milliseconds, with more patience where it is busy. Never rejects. */
  probe(ms: number): Promise<boolean>;
  /** Settles once, with the reason, when it can not be used any more. Never rejects. */
  readonly closed: Promise<Error>;
  /** Gives it up; `closed` follows. Idempotent. */
  close(): void;
}

/** Whether the connection costs by volume; null where nobody knows. */
type IsMetered = () => Promise<boolean | null>;

/** A machine with sshd and a nix-daemon. */
export function sshCacheLink(link: SshLink, log: Logger, isMetered: IsMetered): CacheLink {
  const { address, port, localAddress, transport, cipher, daemon, closed } = link;
  return {
    address,
    port,
    localAddress,
    transport,
    cipher,
    nixVersion: daemon.nixVersion,
    ssh: link,
    through: null,
    openUpstream: () => openDaemonUpstream(link, log, isMetered),
    probe: (ms) => link.probe(ms),
    closed,
    close: () => link.close(),
  };
}

/** A binary cache on a web server. */
export function httpCacheLink(
  link: HttpLink,
  where: Pick<CacheLink, "address" | "port" | "localAddress" | "transport" | "through">,
): CacheLink {
  const { openUpstream, probe, closed } = link;
  const close = (): void => link.end(new TetherError("link-closed", "it was closed here"));
  return { ...where, cipher: null, nixVersion: null, ssh: null, openUpstream, probe, closed, close };
}

function openDaemonUpstream(link: SshLink, log: Logger, isMetered: IsMetered): Upstream {
  const openDaemon = (): ReturnType<SshLink["openDaemon"]> => link.openDaemon();
  // sshd allows ten sessions on a connection (MaxSessions); lookups, probes and uploads need theirs.
  const limits = link.transport === "stdio" ? { narConnections: 6 } : {};
  const { database } = link;
  const store =
    database === null ? {} : { store: { database, openFiles: () => link.openFiles(), isMetered } };
  return createDaemonUpstream({ openDaemon, exec: (command) => link.exec(command), ...store, limits, log });
}
