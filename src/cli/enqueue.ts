// `nix-tether enqueue`: has paths uploaded that no hook has seen, and waits for their arrival if told so.

import { setTimeout as sleep } from "node:timers/promises";
import type { QueueItem } from "../control/messages.js";
import { printable } from "../util/printable.js";
import { askQueue, type QueueAnswer } from "./ask-queue.js";
import type { CliContext } from "./context.js";
import { exitCode } from "./exit.js";
import { storePathsOf } from "./store-paths.js";
import { counted } from "./words.js";

export interface EnqueueArguments {
  readonly paths: readonly string[];
  readonly wait: boolean;
}

const lookEveryMs = 500;

/** Characters of the bar. */
const barWidth = 24;

/** Resolves to the exit code: with `wait` a failure where a path was set aside, and as soon as nothing else is left. */
export async function enqueue(context: CliContext, args: EnqueueArguments): Promise<number> {
  const paths = [...new Set(await storePathsOf(args.paths))];
  const left = ({ queue }: QueueAnswer): QueueItem[] => queue.filter(({ path }) => paths.includes(path));
  let answer = await askQueue(context, { command: "enqueue", paths });
  if (!args.wait) {
    context.stdout.write(`queued ${counted(paths.length, "path")}\n`);
    return setAside(context, left(answer));
  }
  const signal = context.interrupted();
  const screen = context.stdout.isTTY === true;
  let waiting = left(answer).filter(isWaiting).length;
  while (waiting > 0 && !signal.aborted) {
    if (screen)
      context.stdout.write(`\r${bar(paths.length - left(answer).length, paths.length, answer)}\u001b[K`);
    await sleep(lookEveryMs, undefined, { signal }).catch(() => undefined);
    answer = await askQueue(context, { command: "queue" });
    waiting = left(answer).filter(isWaiting).length;
  }
  if (screen) context.stdout.write("\r\u001b[K");
  const arrived = paths.length - left(answer).length;
  context.stdout.write(`${arrived} of ${counted(paths.length, "path")} uploaded\n`);
  return waiting > 0 ? exitCode.failure : setAside(context, left(answer));
}

function isWaiting({ targets }: QueueItem): boolean {
  return targets.some(({ state }) => state !== "set-aside");
}

/** Tells of what was set aside; the exit code that follows. */
function setAside({ stderr }: CliContext, items: readonly QueueItem[]): number {
  let code: number = exitCode.ok;
  for (const { path, targets } of items)
    for (const { name, state, reason } of targets) {
      if (state !== "set-aside") continue;
      code = exitCode.failure;
      stderr.write(`nix-tether: ${printable(path)} is set aside for ${name}: ${printable(reason ?? "")}\n`);
    }
  return code;
}

function bar(done: number, all: number, { status }: QueueAnswer): string {
  const full = Math.floor((done / all) * barWidth);
  const states = Object.entries(status.uploads.targets).map(([name, { state }]) => `${name} ${state}`);
  return `[${"#".repeat(full)}${" ".repeat(barWidth - full)}] ${done} of ${all}, ${states.join(", ")}`;
}
