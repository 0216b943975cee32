// The status as a command asks for it: the report, the caches that are meant, and the exit code that follows.

import { askDaemon } from "../control/client.js";
import type { StatusReport } from "../control/messages.js";
import { TetherError } from "../util/errors.js";
import { exitCode } from "./exit.js";

/** The daemon answers from memory; a loaded machine may still take its time. */
const timeoutMs = 5_000;

/** The report that a request to the daemon was answered with. */
export function reportOf(reply: Awaited<ReturnType<typeof askDaemon>>): StatusReport {
  if (reply.ok) return reply.status;
  throw new TetherError(reply.code, reply.message, { remedy: reply.remedy });
}

export async function askStatus(controlSocket: string): Promise<StatusReport> {
  return reportOf(await askDaemon(controlSocket, { command: "status" }, { timeoutMs }));
}

/** The caches that a person asks about. Rejects with a TetherError `unknown-cache`. */
export async function chosen(report: StatusReport, cache: string | undefined): Promise<string[]> {
  const names = Object.keys(report.caches);
  if (cache === undefined) return names;
  if (names.includes(cache)) return [cache];
  throw (await import("../control/unknown-cache.js")).unknownCache(cache, names);
}

/** The exit code that says whether these are all online. */
export function codeFor(report: StatusReport, names: readonly string[]): number {
  return names.every((name) => report.caches[name]?.state === "online") ? exitCode.ok : exitCode.offline;
}
