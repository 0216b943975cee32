// What the results for a cache's ways come to when all are known: that a machine is not there by one of them is no failure
// where another leads to it, or where nobody has asked for this one. Pure.

import type { CheckId } from "./check.js";
import { skipped, type Finding } from "./finding.js";
import type { WayPlan } from "./ways.js";

/** Where the machine may not be there. */
const absences: ReadonlySet<CheckId> = new Set(["name", "sshd", "web-server"]);
/** Where a way has led to it. */
const arrivals: ReadonlySet<CheckId> = new Set(["transport", "web-server"]);

/** What a check of one way has found. */
export interface WayFinding {
  readonly id: CheckId;
  readonly way: WayPlan;
  readonly finding: Finding;
}

/** Whether the others have to be known before anything is told of this way. */
export function isSettledLate({ label, depth }: WayPlan): boolean {
  return label !== null || depth === "unused";
}

/** The findings in their order, without what only waits for a machine that need not be there. */
export function settleWays<Found extends WayFinding>(found: readonly Found[]): Found[] {
  const reached = found.some(({ id, finding }) => arrivals.has(id) && /^(ok|warning)$/.test(finding.mark));
  const missing = new Set<WayPlan>();
  return found.flatMap((one) => {
    const { id, way, finding } = one;
    if (missing.has(way)) return [];
    const isAbsence = absences.has(id) && finding.mark === "failure";
    if (!isAbsence || !(reached || way.depth === "unused")) return [one];
    missing.add(way);
    const text = reached ? `${finding.text}; it is reached by another way` : finding.text;
    return [{ ...one, finding: skipped(text) }];
  });
}
