// `nix-tether status`: asks the daemon and says what it said, as text, as JSON, or by the exit code alone.

import { setTimeout as sleep } from "node:timers/promises";
import { resolveDirs } from "../config/dirs.js";
import { askDaemon } from "../control/client.js";
import type { StatusReport } from "../control/messages.js";
import { unknownCache } from "../control/unknown-cache.js";
import { TetherError } from "../util/errors.js";
import { appearance, type CliContext } from "./context.js";
import { exitCode, fail } from "./exit.js";
import { statusText } from "./status-text.js";

export interface StatusArguments {
  readonly cache?: string | undefined;
  readonly json?: boolean | undefined;
  readonly quiet?: boolean | undefined;
  readonly watch?: boolean | undefined;
}

/** The daemon answers from memory; a loaded machine may still take its time. */
const timeoutMs = 5_000;

const watchEveryMs = 1_000;

/** Resolves to the exit code. */
export async function status(context: CliContext, args: StatusArguments): Promise<number> {
  const { controlSocket } = resolveDirs(context.env);
  if (args.watch === true) return watch(context, args, controlSocket);
  const report = await askStatus(controlSocket).catch((error: unknown) => {
    // That no daemon runs is an answer, too.
    if (args.quiet === true && error instanceof TetherError && error.code === "no-daemon") return null;
    throw error;
  });
  if (report === null) return exitCode.noDaemon;
  const names = chosen(report, args.cache);
  if (args.quiet !== true) context.stdout.write(rendered(context, args, report, names));
  return codeFor(report, names);
}

/** The report that a request to the daemon was answered with. */
export function reportOf(reply: Awaited<ReturnType<typeof askDaemon>>): StatusReport {
  if (reply.ok) return reply.status;
  throw new TetherError(reply.code, reply.message, { remedy: reply.remedy });
}

async function askStatus(controlSocket: string): Promise<StatusReport> {
  return reportOf(await askDaemon(controlSocket, { command: "status" }, { timeoutMs }));
}

/**
 * Shows the status until interrupted, daemon or no daemon: over itself on a terminal, and elsewhere again whenever
 * something has changed. Ends with the code of what it saw last.
 */
async function watch(context: CliContext, args: StatusArguments, controlSocket: string): Promise<number> {
  const signal = context.interrupted();
  const screen = context.stdout.isTTY === true;
  let shown = "";
  let code: number = exitCode.ok;
  while (!signal.aborted) {
    let text: string;
    // What a pipe sees is new only when more has changed than the clock.
    let essence: string;
    try {
      const report = await askStatus(controlSocket);
      const names = chosen(report, args.cache);
      code = codeFor(report, names);
      text = rendered(context, args, report, names);
      essence = JSON.stringify(report);
    } catch (error) {
      if (error instanceof TetherError && error.code === "unknown-cache") throw error;
      const said: string[] = [];
      code = fail(error, { ...context, stderr: { write: (part) => said.push(part) } });
      essence = said.join("");
      text = essence;
      // Standard output stays what was asked for; whoever reads JSON gets the trouble on the other stream.
      if (!screen && essence !== shown) context.stderr.write(text);
      if (!screen) text = "";
    }
    if (screen) draw(context, text);
    else if (essence !== shown) context.stdout.write(text);
    shown = essence;
    await sleep(watchEveryMs, undefined, { signal }).catch(() => undefined);
  }
  return code;
}

/**
 * Over what was drawn before, without clearing it first: that would flicker. What is wider than the screen is cut there, for
 * more lines than are counted would make it scroll.
 */
function draw(context: CliContext, text: string): void {
  // Some terminals say that they have no lines at all.
  const height = context.stdout.rows || 24;
  const lines = text
    .trimEnd()
    .split("\n")
    .slice(0, Math.max(1, height - 1));
  const drawn = lines.map((line) => `${line}\u001b[K\n`).join("");
  context.stdout.write(`\u001b[?7l\u001b[H${drawn}\u001b[?7h\u001b[J`);
}

function rendered(
  context: CliContext,
  args: StatusArguments,
  report: StatusReport,
  names: readonly string[],
): string {
  if (args.json === true) return `${JSON.stringify(report, null, 2)}\n`;
  return statusText(report, names, { now: context.now(), ...appearance(context) });
}

/** The caches that are asked about. @throws TetherError `unknown-cache` */
export function chosen(report: StatusReport, cache: string | undefined): string[] {
  const names = Object.keys(report.caches);
  if (cache === undefined) return names;
  if (names.includes(cache)) return [cache];
  throw unknownCache(cache, names);
}

function codeFor(report: StatusReport, names: readonly string[]): number {
  return names.every((name) => report.caches[name]?.state === "online") ? exitCode.ok : exitCode.offline;
}
