// What the daemon and its clients say to each other: one JSON object a line over the control socket.

/** A cache's place in its life. `waiting` has failed and will retry; `offline` has not been seen. */
export type CacheStateName = "offline" | "connecting" | "online" | "waiting" | "paused";

/** One cache in `status --json`, version 1. Keys may be added, never renamed. Times are ISO 8601 in UTC. */
export interface CacheStatus {
  type: "ssh";
  state: CacheStateName;
  host: string;
  address: string | null;
  port: number | null;
  /** When the present state began. */
  since: string;
  /** Why it is not online: a sentence; null while online. */
  reason: string | null;
  /** When the next try is made, in `waiting` and `offline`. */
  retryAt: string | null;
  /** Whether the override file names it. */
  listed: boolean;
  /** As Nix is told it or would be, without its query. */
  url: string;
  /** The last part of `url`, 0 to 15: it changes when Nix must forget that something was not there. */
  generation: number;
  socket: string;
  transport: "socket" | "stdio" | null;
  nixVersion: string | null;
  lookups: number;
  hits: number;
  narBytes: number;
  resumed: number;
  /** Paths looked up that carry no signature and no content address: Nix ignores these. */
  unsigned: number;
}

/** A named problem that a person can act on. `cache` is null for what concerns the whole daemon. */
export interface Warning {
  code: string;
  cache: string | null;
  text: string;
  since: string;
}

/** The answer to `status`. */
export interface StatusReport {
  version: 1;
  pid: number;
  since: string;
  caches: Record<string, CacheStatus>;
  override: { path: string; listed: string[] };
  uploads: { waiting: number; uploaded: number; failed: number };
  warnings: Warning[];
}

/** What a client may ask. `cache` null means every cache. */
export type ControlRequest =
  | { command: "status" }
  | { command: "pause"; cache: string | null }
  | { command: "resume"; cache: string | null };

/** What the daemon answers: the report as it stands after the request, or an error in words. */
export type ControlReply = { ok: true; status: StatusReport } | { ok: false; code: string; message: string };
