// The report of a farm's run as text for a person, and a table of all farms. Pure.

import type { LockChange, LockedInput } from "../farm/lock-changes.js";
import type { BuildReport, FarmReport, PushResult, RunResult } from "../farm/report.js";
import type { LockOwner } from "../farm/run-lock.js";
import { printable } from "../util/printable.js";
import { bytes, counted, duration } from "./words.js";

/** What is known of a farm. */
export interface FarmState {
  readonly name: string;
  /** The run under way. */
  readonly running: LockOwner | null;
  readonly last: FarmReport | null;
  /** When systemd runs it next, in its words. */
  readonly next: string | null;
}

/** Each line ended by a newline. */
export function farmReportText(report: FarmReport): string {
  const { builds, lock, pushes, error } = report;
  return [
    `${report.farm}: ${headline(report)}, after ${duration(report.ms)} (begun ${report.startedAt})`,
    ...(error === null ? [] : indented([error.message, ...(error.remedy === null ? [] : [error.remedy])])),
    ...sourceLines(report),
    ...section("Inputs", lock === null ? [] : lockLines(lock.changes)),
    ...section("Builds", builds.flatMap(buildLines)),
    ...section("Pushed", pushes.map(pushLine)),
    ...gitLines(report),
  ]
    .map((line) => `${line.trimEnd()}\n`)
    .join("");
}

/** A line for each farm. */
export function farmTable(states: readonly FarmState[], now: number): string {
  if (states.length === 0) return "No farms are configured.\n";
  const rows = [
    ["FARM", "LAST RUN", "RESULT", "NEXT RUN"],
    ...states.map(({ name, running, last, next }) => [
      name,
      last === null ? "never" : `${duration(now - Date.parse(last.startedAt))} ago`,
      running === null
        ? last === null
          ? "-"
          : headline(last)
        : `runs for ${duration(now - running.since)} (process ${running.pid})`,
      next ?? "-",
    ]),
  ];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join("  ")
          .trimEnd()}\n`,
    )
    .join("");
}

const results: Record<RunResult, string> = {
  ok: "all is well",
  cancelled: "interrupted",
  failed: "failed",
  "builds-failed": "builds failed",
  "push-failed": "not everything was pushed",
};

function headline({ result, builds }: FarmReport): string {
  const good = builds.filter(({ ok }) => ok).length;
  const words = results[result];
  return builds.length === 0 ? words : `${words}, ${good} of ${counted(builds.length, "build")} good`;
}

function sourceLines({ repository, branch, commit, kept }: FarmReport): string[] {
  if (branch === null || commit === null) return [];
  const lines = [`Repository: ${printable(repository)}, ${branch} at ${short(commit)}`];
  if (kept !== null)
    lines.push(`  An earlier run's commit ${short(kept.commit)} was never pushed; it is kept as ${kept.ref}`);
  return lines;
}

function lockLines(changes: readonly LockChange[]): string[] {
  if (changes.length === 0) return ["nothing new"];
  return changes.map(({ input, from, to }) => {
    const name = printable(input);
    if (from === null) return `${name}: new, ${shown(to)}`;
    return to === null ? `${name}: gone` : `${name}: ${shown(from)} → ${shown(to)}`;
  });
}

function shown(input: LockedInput | null): string {
  if (input === null) return "";
  const day = input.date === null ? "" : ` (${new Date(input.date).toISOString().slice(0, 10)})`;
  return `${input.rev === null ? printable(input.url) : short(input.rev)}${day}`;
}

function buildLines(build: BuildReport): string[] {
  const { attribute, ok, ms, paths, lastGood, built, fetched, failures } = build;
  const made = [`${built} built`, `${fetched} fetched`].join(", ");
  const head = `${ok ? "good  " : "FAILED"}  ${attribute}, ${duration(ms)}, ${made}`;
  if (ok) return [head, ...indented(paths)];
  return [
    head,
    ...indented(lastGood === null ? [] : [`the last good one is kept: ${lastGood}`]),
    ...failures.flatMap(({ text, log }) => [
      ...indented([printable(text)]),
      ...indented(indented(log.map((line) => `> ${printable(line)}`))),
    ]),
  ];
}

function pushLine(push: PushResult): string {
  const { target, state, paths, alreadyThere, bytes: size, unsigned, ms, error } = push;
  const lacks =
    unsigned === 0 ? "" : `; ${unsigned} HAVE NO SIGNATURE: set signing-key in [static.${target}]`;
  switch (state) {
    case "pushed":
      return `${target}: ${counted(paths, "path")} (${bytes(size)}) in ${duration(ms)}, ${alreadyThere} were there${lacks}`;
    case "queued":
      return `${target}: ${counted(paths, "path")} queued; sent when it is in reach`;
    case "failed":
      return `${target}: FAILED: ${printable(error ?? "")}`;
    case "skipped":
      return `${target}: nothing was sent: ${printable(error ?? "")}`;
  }
}

function gitLines({ lock, git }: FarmReport): string[] {
  const made = lock?.commit ?? null;
  if (made === null || git === null) return [];
  const commit = `the new flake.lock is commit ${short(made)}`;
  const reason = printable(git.reason);
  switch (git.state) {
    case "pushed":
      return [`Git: the new flake.lock is commit ${short(git.commit ?? made)}, pushed ${reason}`];
    case "not-pushed":
      return [`Git: ${commit}, not pushed: ${reason}`];
    case "failed":
      return [`Git: ${commit}, and its push FAILED: ${reason}`];
  }
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [`${title}:`, ...indented(lines)];
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}

function short(commit: string): string {
  return commit.slice(0, 12);
}
