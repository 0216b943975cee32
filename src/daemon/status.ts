// The report that `status` shows and the line that systemd shows, made from the states and counters. Pure.

import type {
  CacheStatus,
  StatusReport,
  TransferStatus,
  UploadsStatus,
  Warning,
} from "../control/messages.js";
import type { CacheState } from "../decision/state.js";
import type { GatewayStats, Transfer } from "../gateway/gateway.js";
import { fileOf } from "../protocol/offered-path.js";
import type { CacheLink } from "./cache-link.js";
import type { CacheWay } from "./cache-ways.js";

/** All that is known of one cache at a moment. */
export interface CacheFacts {
  readonly type: CacheStatus["type"];
  readonly host: string;
  /** The ways to it, in the order of preference. */
  readonly ways: readonly CacheWay[];
  /** Whether its unsigned paths are accepted. */
  readonly trusted: boolean;
  readonly state: CacheState;
  readonly link: CacheLink | null;
  readonly listed: boolean;
  readonly url: string;
  readonly generation: number;
  readonly socket: string | null;
  readonly stats: GatewayStats;
  readonly losses: number;
  readonly transfers: readonly Readonly<Transfer>[];
}

/** Nix begins no more at a time, for one user; the report stays small if somebody does. */
const mostTransfers = 32;

/** All that the report is made of. */
export interface ReportFacts {
  readonly pid: number;
  readonly since: number;
  readonly caches: ReadonlyMap<string, CacheFacts>;
  readonly overridePath: string;
  readonly listed: readonly string[];
  readonly uploads: UploadsStatus;
  readonly warnings: readonly Warning[];
}

/** `status --json`, version 1. */
export function statusReport(facts: ReportFacts): StatusReport {
  const caches = [...facts.caches].map(([name, cache]) => [name, cacheStatus(cache)] as const);
  const told = [...facts.caches].flatMap(([name, cache]) => [
    ...failureWarning(name, cache.state),
    ...unsignedWarning(name, cache),
  ]);
  return {
    version: 1,
    pid: facts.pid,
    since: iso(facts.since),
    caches: Object.fromEntries(caches),
    override: { path: facts.overridePath, listed: [...facts.listed] },
    uploads: facts.uploads,
    warnings: [...told, ...facts.warnings],
  };
}

/** One line for `systemctl --user status`; `trouble` is why no cache can be listed, or null. */
export function statusLine(states: ReadonlyMap<string, CacheState>, trouble: string | null): string {
  const caches = [...states].map(([name, state]) => {
    if (state.name === "online") return `${name} online at ${state.connection.address}`;
    if (state.name === "waiting") return `${name} waiting: ${state.failure.text}`;
    return `${name} ${state.name}`;
  });
  const told = caches.length === 0 ? ["no caches configured"] : caches;
  return [...(trouble === null ? [] : [`nothing is listed: ${trouble}`]), ...told].join("; ");
}

/**
 * What a person can mend is a warning as well; a failure without a remedy stands in `reason` alone, and so does a machine
 * that does not answer, which is everyday life.
 */
function failureWarning(cache: string, state: CacheState): Warning[] {
  if (state.name !== "waiting" || state.failure.code === "unreachable") return [];
  const { code, text, remedy } = state.failure;
  if (remedy === undefined) return [];
  return [{ code, cache, text: `${text}. ${remedy}`, since: iso(state.since) }];
}

function unsignedWarning(cache: string, facts: CacheFacts): Warning[] {
  const count = facts.stats.unsigned;
  if (facts.trusted || count === 0) return [];
  const paths = count === 1 ? "1 path" : `${count} paths`;
  const mend =
    facts.type === "http"
      ? "Have them signed where they are made, before they get there"
      : `Set secret-key-files in the nix.conf of ${facts.host}, sign what is there with \`nix store sign --all\``;
  const text =
    `${paths} of ${cache} carry no signature, and Nix ignores them. ${mend}, or set trusted = true for ${cache} if you ` +
    `are a trusted user of Nix.`;
  return [{ code: "unsigned-paths", cache, text, since: iso(facts.state.since) }];
}

function cacheStatus(cache: CacheFacts): CacheStatus {
  const { state, link, stats } = cache;
  const online = state.name === "online" ? state : null;
  const way = online === null ? undefined : cache.ways[online.way];
  return {
    type: cache.type,
    state: state.name,
    host: cache.host,
    address: online?.connection.address ?? null,
    port: online?.connection.port ?? null,
    way: way === undefined ? null : { host: way.host, uploads: way.uploads },
    since: iso(state.since),
    reason: reasonOf(state),
    retryAt: "look" in state && state.look.kind === "later" ? iso(state.look.at) : null,
    listed: cache.listed,
    url: cache.url,
    generation: cache.generation,
    socket: cache.socket,
    transport: link?.transport ?? null,
    cipher: link?.cipher ?? null,
    nixVersion: link?.nixVersion ?? null,
    ...stats,
    losses: cache.losses,
    transfers: cache.transfers.slice(0, mostTransfers).map(transferStatus),
  };
}

function transferStatus({ info, at, since, waiting }: Readonly<Transfer>): TransferStatus {
  return { path: info.path, size: fileOf(info).size, sent: at, since: iso(since), waiting };
}

function reasonOf(state: CacheState): string | null {
  switch (state.name) {
    case "online":
      return null;
    case "offline":
      return state.reason;
    case "waiting":
      return state.failure.text;
    case "connecting":
      return "found, connecting";
    case "paused":
      return "paused by you";
  }
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
