// What the daemon and its clients say to each other: one JSON object a line over the control socket.

import type { CacheMemory } from "./path-memory.js";

/** A cache's place in its life. `waiting` has failed and will retry; `offline` has not been seen. */
export type CacheStateName = "offline" | "connecting" | "online" | "waiting" | "paused";

/** One cache in `status --json`, version 1. Keys may be added, never renamed. Times are ISO 8601 in UTC. */
export interface CacheStatus {
  type: "ssh" | "http";
  state: CacheStateName;
  host: string;
  address: string | null;
  port: number | null;
  /** By which of the cache's hosts it is reached, and whether uploads go this way; null while it is not online. */
  way: { host: string; uploads: boolean } | null;
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
  /** Null for a cache without a nix-daemon. */
  socket: string | null;
  transport: "socket" | "stdio" | "http" | "https" | null;
  /** Of the SSH connection, as SSH names it; null while there is none. */
  cipher: string | null;
  nixVersion: string | null;
  lookups: number;
  hits: number;
  narBytes: number;
  resumed: number;
  /** NARs that broke and were given up. */
  abandoned: number;
  /** How often it was online and then was not, other than by being paused. */
  losses: number;
  /** NARs that are on their way at this moment; at most 32 of them. */
  transfers: TransferStatus[];
  /** Paths looked up that carry no signature and no content address: Nix ignores these. */
  unsigned: number;
}

/** A NAR on its way to Nix. */
export interface TransferStatus {
  path: string;
  /** Of the whole NAR, in bytes. */
  size: number;
  /** Where in the NAR it has come to, in bytes. */
  sent: number;
  since: string;
  /** Whether it was cut and waits for the machine's return. */
  waiting: boolean;
}

/** A named problem that a person can act on. `cache` is null for what concerns the whole daemon. */
export interface Warning {
  code: string;
  cache: string | null;
  text: string;
  since: string;
}

/** The queue of uploads in numbers. */
export interface UploadsStatus {
  /** Paths that have not arrived everywhere. */
  waiting: number;
  /** Arrivals since the daemon's start. */
  uploaded: number;
  /** Paths that wait for nothing but a person: see `queue list`. */
  failed: number;
  /** Paths that were built since the daemon's start and that the configuration does not want. */
  skipped: number;
  /** By cache, those that are uploaded to. */
  targets: Record<string, UploadTargetStatus>;
}

/** How far the uploads to one cache have come. */
export interface UploadTargetStatus {
  waiting: number;
  setAside: number;
  uploaded: number;
  /** Of the NARs that were copied since the daemon's start, what is on its way included. Never falls. */
  bytes: number;
  /**
   * Bytes that are still to be sent: NARs of what waits, as far as their sizes are known, and what the copy under way
   * takes along, less what has gone.
   */
  left: number;
  /** Bytes per second at present; null while nothing is copied. */
  rate: number | null;
  /** `offline`: the cache is not in use. `held`: only what was asked for by `--now` is sent at present. */
  state: "resting" | "copying" | "backing-off" | "held" | "offline";
  /** Why it is backing off or held: a sentence, or null. */
  reason: string | null;
  /** The path that is on its way. */
  now: string | null;
  /** The copy under way: how many paths, and bytes of their NARs. */
  going: { paths: number; size: number; sent: number } | null;
}

/** One path that has not arrived everywhere. Times are ISO 8601 in UTC. */
export interface QueueItem {
  path: string;
  deriver: string | null;
  /** Of its NAR, in bytes; null where that is not known. */
  size: number | null;
  /** When it was built or handed over. */
  since: string;
  /** It is sent also when uploads are held: somebody has asked for just this. */
  now: boolean;
  /** Where it has not arrived. */
  targets: {
    name: string;
    state: "waiting" | "copying" | "set-aside";
    /** Bytes of it that have gone with the copy under way. */
    sent: number;
    /** Tries that have failed. */
    tries: number;
    /** Of the last failure: its stable code and its words. */
    code: string | null;
    reason: string | null;
    retryAt: string | null;
  }[];
}

/** The answer to `status`. */
export interface StatusReport {
  version: 1;
  pid: number;
  since: string;
  caches: Record<string, CacheStatus>;
  override: { path: string; listed: string[] };
  uploads: UploadsStatus;
  warnings: Warning[];
}

/** What a client may ask. `cache` null means every cache, `paths` null everything in the queue. */
export type ControlRequest =
  | { command: "status" }
  | { command: "pause"; cache: string | null }
  | { command: "resume"; cache: string | null }
  /** As `resume`, and also by ways that are only for this. */
  | { command: "connect"; cache: string | null }
  | { command: "explain"; hashPart: string }
  /** Asks now for what the cache was said not to have, so that Nix finds what is there by now. */
  | { command: "recheck"; cache: string | null }
  | QueueRequest;

/** What is asked of the queue of uploads. `now`: to be sent also while uploads are held. */
export type QueueRequest =
  | { command: "queue" }
  | { command: "queue-retry"; paths: string[] | null; now?: boolean | undefined }
  | { command: "queue-drop"; paths: string[] | null }
  | { command: "enqueue"; paths: string[]; now?: boolean | undefined };

/**
 * What the daemon answers: the report as it stands after the request, what is in the queue where that was asked about, and
 * what the caches tell of a path where that was; or an error in words, with what to do about it.
 */
export type ControlReply =
  | { ok: true; status: StatusReport; queue?: QueueItem[]; memory?: Record<string, CacheMemory> }
  | { ok: false; code: string; message: string; remedy?: string };
