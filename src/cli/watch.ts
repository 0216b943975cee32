// `nix-tether status --watch`: the status again and again, over itself on a terminal with what goes up and down, and
// elsewhere when something has changed.

import { setTimeout as sleep } from "node:timers/promises";
import type { StatusReport } from "../control/messages.js";
import { TetherError } from "../util/errors.js";
import { askStatus, chosen, codeFor } from "./ask-status.js";
import { appearance, type Appearance, type CliContext } from "./context.js";
import { exitCode, fail } from "./exit.js";
import type { StatusArguments } from "./status.js";
import { statusText } from "./status-text.js";
import { createThroughput, type Throughput } from "./throughput.js";

const everyMs = 1_000;

/** What one look at the daemon has shown. */
interface Seen {
  readonly code: number;
  readonly text: string;
  /** What is new only when more has changed than clocks and counters. */
  readonly essence: string;
  /** The text is about no daemon or another trouble. */
  readonly trouble: boolean;
}

/** Goes on until interrupted, daemon or no daemon. Resolves to the exit code for what was seen last. */
export async function watch(
  context: CliContext,
  args: StatusArguments,
  controlSocket: string,
): Promise<number> {
  const signal = context.interrupted();
  const throughput = createThroughput();
  let before = "";
  let code: number = exitCode.ok;
  while (!signal.aborted) {
    const look = appearance(context, { plain: args.plain === true });
    const isDrawn = context.stdout.isTTY === true && !look.plain && args.json !== true;
    const seen = await see(context, args, controlSocket, { look, throughput: isDrawn ? throughput : null });
    ({ code } = seen);
    if (isDrawn) draw(context, seen.text);
    else if (seen.essence !== before) {
      // Standard output stays what was asked for: whoever reads JSON gets the trouble on the other stream.
      (seen.trouble ? context.stderr : context.stdout).write(seen.text);
    }
    before = seen.essence;
    await sleep(everyMs, undefined, { signal }).catch(() => undefined);
  }
  return code;
}

async function see(
  context: CliContext,
  { cache, json }: StatusArguments,
  controlSocket: string,
  { look, throughput }: { look: Appearance; throughput: Throughput | null },
): Promise<Seen> {
  try {
    const report = await askStatus(controlSocket);
    const names = await chosen(report, cache);
    const code = codeFor(report, names);
    if (json === true) {
      const text = `${JSON.stringify(report, null, 2)}\n`;
      return { code, text, essence: text, trouble: false };
    }
    throughput?.sample(performance.now(), report, names);
    const text = statusText(report, names, { now: context.now(), ...look });
    const graph = throughput?.lines(look) ?? [];
    return {
      code,
      text: [text, ...graph.map((line) => `${line}\n`)].join(""),
      essence: essenceOf(report),
      trouble: false,
    };
  } catch (error) {
    if (error instanceof TetherError && error.code === "unknown-cache") throw error;
    const said: string[] = [];
    const code = fail(error, { ...context, stderr: { write: (part) => said.push(part) } });
    return { code, text: said.join(""), essence: said.join(""), trouble: true };
  }
}

/** Without clocks and counters, which go on by themselves. */
function essenceOf({ caches, uploads, warnings }: StatusReport): string {
  return JSON.stringify([
    Object.values(caches).map((one) => [
      one.state,
      one.reason,
      one.listed,
      one.address,
      one.port,
      one.transport,
    ]),
    Object.values(uploads.targets).map((one) => [one.state, one.reason, one.setAside, one.waiting > 0]),
    warnings.map(({ cache, text }) => [cache, text]),
  ]);
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
