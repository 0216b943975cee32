// What is told of each cache, in pieces: the cells of a table, and the sentences that go with it. Pure.

import type {
  CacheStateName,
  CacheStatus,
  StatusReport,
  UploadTargetStatus,
  Warning,
} from "../control/messages.js";
import { printable } from "../util/printable.js";
import { uploadsSentence } from "./uploads-text.js";
import { bytes, counted, duration } from "./words.js";

/** In a cell that has nothing to say. */
export const nothing = "-";

/** A cache with its texts. */
export interface CacheFacts {
  readonly name: string;
  readonly status: CacheStatus;
  readonly cells: Cells;
  /** Why it is not in use, and how its uploads stand. */
  readonly notes: readonly string[];
}

export interface Cells {
  readonly name: string;
  readonly state: CacheStateName;
  readonly since: string;
  readonly where: string;
  readonly via: string;
  readonly listed: string;
  readonly given: string;
}

export interface StatusFacts {
  readonly caches: readonly CacheFacts[];
  /** Sentences about no cache of its own. */
  readonly remarks: readonly string[];
  /** Those of the warnings that no note tells. */
  readonly warnings: readonly string[];
}

/** Of the caches in `names`; `now` is in milliseconds since the epoch. */
export function statusFacts(report: StatusReport, names: readonly string[], now: number): StatusFacts {
  const all = names.length === Object.keys(report.caches).length;
  const warnings = report.warnings.filter(({ cache }) => (cache === null ? all : names.includes(cache)));
  // A warning that goes on from a reason takes its place, so that nothing is said twice.
  const told = new Set<Warning>();
  const caches = names.flatMap((name): CacheFacts[] => {
    const status = report.caches[name];
    if (status === undefined) return [];
    const own = warnings.filter(({ cache }) => cache === name);
    const notes = [
      ...reasonNote(status, own, told, now),
      ...wayNote(status),
      ...uploadsNote(status, report.uploads.targets[name]),
    ];
    return [{ name, status, cells: cellsOf(name, status, report.warnings, now), notes }];
  });
  const standing = warnings.filter((warning) => !told.has(warning));
  const texts = standing.map(({ cache, text }) => printable(cache === null ? text : `${cache}: ${text}`));
  const { skipped } = report.uploads;
  const remarks = all && skipped > 0 ? [`${counted(skipped, "path")} not uploaded, as configured`] : [];
  return { caches, remarks, warnings: texts };
}

/** Whether it has been asked for anything. */
export function isUsed({ lookups, narBytes }: CacheStatus): boolean {
  return lookups > 0 || narBytes > 0;
}

/** What was found there of what was asked for, in percent. */
export function hitRate({ lookups, hits }: CacheStatus): number {
  return lookups === 0 ? 0 : Math.round((hits / lookups) * 100);
}

function cellsOf(name: string, status: CacheStatus, warnings: readonly Warning[], now: number): Cells {
  return {
    name,
    state: status.state,
    since: duration(now - Date.parse(status.since)),
    where: whereOf(status),
    via: status.transport ?? nothing,
    listed: inNix(name, status, warnings),
    given: givenBy(status),
  };
}

/** Whether Nix would use it: to be listed is not enough. */
function inNix(name: string, { listed }: CacheStatus, warnings: readonly Warning[]): string {
  const stands = (code: string, cache: string | null): boolean =>
    warnings.some((warning) => warning.code === code && warning.cache === cache);
  if (stands("url-not-allowed", name)) return "no: root must allow it";
  return listed && !stands("override-not-included", null) ? "yes" : "no";
}

function whereOf({ host, address, port }: CacheStatus): string {
  if (address === null) return printable(host);
  if (port === null || port === 22) return printable(address);
  return printable(address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`);
}

function givenBy(status: CacheStatus): string {
  if (!isUsed(status)) return "nothing yet";
  const { lookups, hits, narBytes } = status;
  return `${hits} of ${counted(lookups, "path")} (${hitRate(status)} %), ${bytes(narBytes)}`;
}

function reasonNote(
  { reason, retryAt }: CacheStatus,
  warnings: readonly Warning[],
  told: Set<Warning>,
  now: number,
): string[] {
  if (reason === null) return [];
  const longer = warnings.find(({ text }) => text.startsWith(reason));
  if (longer !== undefined) told.add(longer);
  const again = retryAt === null ? "" : ` (next try ${inTime(Date.parse(retryAt) - now)})`;
  return [printable(longer?.text ?? reason) + again];
}

/** By which way it is reached, where that makes a difference. */
function wayNote({ type, host, way }: CacheStatus): string[] {
  if (way === null) return [];
  const words = [
    ...(way.host === host ? [] : [`reached as ${printable(way.host)}`]),
    // A web server takes none by any way.
    ...(way.uploads || type === "http" ? [] : ["without uploads"]),
  ];
  return words.length === 0 ? [] : [words.join(", ")];
}

function uploadsNote(status: CacheStatus, target: UploadTargetStatus | undefined): string[] {
  const sentence = target === undefined ? null : uploadsSentence(target, status);
  return sentence === null ? [] : [`uploads: ${sentence}`];
}

function inTime(ms: number): string {
  return ms < 1000 ? "now" : `in ${duration(ms)}`;
}
