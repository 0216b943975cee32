// Status reports for tests, from what a test cares about.

import type { CacheStatus, StatusReport, UploadTargetStatus } from "../../src/control/messages.js";

/** The moment that the reports below were made at. */
export const reportTime = Date.parse("2026-11-22T10:00:00.000Z");

/** A cache that has been online for two hours, with `changes`. */
export function cacheStatus(name: string, changes: Partial<CacheStatus> = {}): CacheStatus {
  const { state = "online", host = "raspberrypi.local" } = changes;
  return {
    type: "ssh",
    state,
    host,
    address: "192.168.1.20",
    port: 22,
    way: state === "online" ? { host, uploads: true } : null,
    since: "2026-11-22T08:00:00.000Z",
    reason: null,
    retryAt: null,
    listed: true,
    url: `http://127.0.0.1:37515/${name}/3`,
    generation: 3,
    socket: `/run/user/1000/nix-tether/${name}.sock`,
    transport: "socket",
    cipher: "aes128-gcm@openssh.com",
    nixVersion: "2.31.2",
    lookups: 40,
    hits: 12,
    narBytes: 36_175_872,
    resumed: 0,
    abandoned: 0,
    losses: 0,
    transfers: [],
    unsigned: 0,
    ...changes,
  };
}

/** A cache that can not be used since ten minutes, for `reason`. */
export function brokenStatus(name: string, reason: string, changes: Partial<CacheStatus> = {}): CacheStatus {
  return cacheStatus(name, {
    state: "waiting",
    since: "2026-11-22T09:50:00.000Z",
    reason,
    retryAt: "2026-11-22T10:00:40.000Z",
    address: null,
    port: null,
    listed: false,
    transport: null,
    cipher: null,
    nixVersion: null,
    lookups: 0,
    hits: 0,
    narBytes: 0,
    ...changes,
  });
}

/** A daemon's report on `caches`, with `changes`. */
export function statusReport(
  caches: Record<string, CacheStatus>,
  changes: Partial<StatusReport> = {},
): StatusReport {
  const listed = Object.keys(caches).filter((name) => caches[name]?.listed);
  return {
    version: 1,
    pid: 4242,
    since: "2026-11-22T07:00:00.000Z",
    caches,
    override: { path: "/home/alice/.config/nix/nix-tether.conf", listed },
    uploads: { waiting: 0, uploaded: 0, failed: 0, skipped: 0, targets: {} },
    warnings: [],
    ...changes,
  };
}

/** A cache that uploads go to, with nothing to do, with `changes`. */
export function uploadTarget(changes: Partial<UploadTargetStatus> = {}): UploadTargetStatus {
  return {
    waiting: 0,
    setAside: 0,
    uploaded: 0,
    bytes: 0,
    left: 0,
    rate: null,
    state: "resting",
    reason: null,
    now: null,
    going: null,
    ...changes,
  };
}
