// Facts about one path and one cache, from what a test cares about.

import type { CacheMemory, PastRequest, ToldPath } from "../../src/control/path-memory.js";
import type { CacheFacts, NixFacts } from "../../src/explain/facts.js";
import { cacheStatus, reportTime } from "./status-report.js";

export const hashPart = "0123456789abcdfghijklmnpqrsvwxyz";
export const storePath = `/nix/store/${hashPart}-hello-2.12`;

export const toldPath: ToldPath = {
  path: storePath,
  narHash: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  narSize: 3 << 20,
  references: [`/nix/store/${"g".repeat(32)}-glibc`],
  deriver: null,
  signatures: [],
  ca: null,
};

export const nixFacts: NixFacts = { keys: [], requireSignatures: true, others: [] };

/** A request of Nix, `minutes` before the moment of the reports. */
export function request(
  outcome: PastRequest["outcome"],
  minutes: number,
  more: Partial<PastRequest> = {},
): PastRequest {
  const at = new Date(reportTime - minutes * 60_000).toISOString();
  const size = /^(told|sent|cut$|left)/.test(outcome) ? toldPath.narSize : 0;
  return { at, outcome, generation: 3, unsigned: false, bytes: outcome === "sent" ? size : 0, size, ...more };
}

/** Of the cache `pi`, which is online and has nothing, and was asked nothing in the last two hours. */
export function cacheFacts(more: Partial<CacheFacts> = {}, memory: Partial<CacheMemory> = {}): CacheFacts {
  return {
    name: "pi",
    status: cacheStatus("pi"),
    warnings: [],
    local: { present: false, builtHere: false, signers: [] },
    nix: nixFacts,
    ...more,
    memory: {
      priority: 30,
      trusted: false,
      since: new Date(reportTime - 2 * 3_600_000).toISOString(),
      requests: [],
      now: { kind: "absent" },
      ...memory,
    },
  };
}
