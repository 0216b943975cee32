// Explains one path: puts together what the daemon remembers, what the machines say now, and what the Nix here says.

import type { StatusReport } from "../control/messages.js";
import type { CacheMemory } from "../control/path-memory.js";
import type { CacheFacts, LocalPath, NixFacts } from "./facts.js";
import { findLocalPath, lookAtLocal, lookAtNix } from "./local-facts.js";
import { trustIn, verdictOf, type Trust, type Verdict } from "./verdict.js";

/** What a person named: all of a store path, or its first 32 characters. */
export interface Target {
  readonly hashPart: string;
  readonly path: string | null;
}

export interface Explanation {
  readonly hashPart: string;
  /** As far as anybody knows it. */
  readonly path: string | null;
  readonly local: LocalPath | null;
  readonly nix: NixFacts | null;
  /** In the order of the report. */
  readonly caches: readonly ExplainedCache[];
}

export interface ExplainedCache {
  readonly facts: CacheFacts;
  readonly verdict: Verdict;
  /** What Nix would make of it as it is there now; null where it is not, or can not be asked. */
  readonly trust: Trust | null;
}

/** `report` and `memory` are what the daemon told. Bounded; never rejects. */
export async function explainPath(
  target: Target,
  { report, memory }: { report: StatusReport; memory: Readonly<Record<string, CacheMemory>> },
  env: NodeJS.ProcessEnv,
): Promise<Explanation> {
  const { hashPart } = target;
  const told = Object.values(memory).flatMap(({ now }) => (now.kind === "found" ? [now.info.path] : []));
  const path = target.path ?? told[0] ?? (await findLocalPath(hashPart, env));
  const gateways = Object.values(report.caches).map(({ url }) => new URL(url).origin);
  const ours = (url: string): boolean => URL.canParse(url) && gateways.includes(new URL(url).origin);
  const priority = Math.max(...Object.values(memory).map((one) => one.priority), 0);
  const [local, nix] = await Promise.all([
    path === null ? null : lookAtLocal(path, env),
    lookAtNix({ hashPart, priority, ours, env }),
  ]);
  const caches = Object.entries(report.caches).flatMap(([name, status]): ExplainedCache[] => {
    const remembered = memory[name];
    if (remembered === undefined) return [];
    const warnings = report.warnings.filter(({ cache }) => cache === null || cache === name);
    const facts: CacheFacts = { name, status, memory: remembered, warnings, local, nix };
    const { now } = remembered;
    const trust = now.kind === "found" ? trustIn(now.info, facts) : null;
    return [{ facts, verdict: verdictOf(facts), trust }];
  });
  return { hashPart, path, local, nix, caches };
}
