// `nix-tether enqueue`: has paths uploaded that no hook has seen, and waits for their arrival if told so.

import { setTimeout as sleep } from "node:timers/promises";
import type { QueueItem } from "../control/messages.js";
import { printable } from "../util/printable.js";
import { askQueue, type QueueAnswer } from "./ask-queue.js";
import { appearance, type Appearance, type CliContext } from "./context.js";
import { exitCode } from "./exit.js";
import { storePathsOf } from "./store-paths.js";
import { progressLine, progressText, uploadProgress, type UploadProgress } from "./upload-progress.js";
import { counted } from "./words.js";

export interface EnqueueArguments {
  readonly paths: readonly string[];
  readonly wait: boolean;
  /** Also while uploads are held back. */
  readonly now: boolean;
  readonly plain: boolean;
}

const lookEveryMs = 500;

/** Where no bar can be drawn, how often the progress is told, in milliseconds. */
const tellEveryMs = 10_000;

/** Resolves to the exit code: with `wait` a failure where a path was set aside, and as soon as nothing else is left. */
export async function enqueue(context: CliContext, args: EnqueueArguments): Promise<number> {
  const paths = [...new Set(await storePathsOf(args.paths))];
  const leftOf = ({ queue }: QueueAnswer): QueueItem[] => queue.filter(({ path }) => paths.includes(path));
  let answer = await askQueue(context, { command: "enqueue", paths, ...(args.now ? { now: true } : {}) });
  const before = leftOf(answer);
  const progress = (): UploadProgress =>
    uploadProgress(paths.length, before, leftOf(answer), answer.status.uploads.targets);
  const show = teller(context, args);
  if (!args.wait) {
    context.stdout.write(`queued ${counted(paths.length, "path")}\n`);
    show.waits(progress());
    return setAside(context, before);
  }
  const signal = context.interrupted();
  while (leftOf(answer).some(isWaiting) && !signal.aborted) {
    show.progress(progress());
    await sleep(lookEveryMs, undefined, { signal }).catch(() => undefined);
    answer = await askQueue(context, { command: "queue" });
  }
  show.end();
  const left = leftOf(answer);
  context.stdout.write(`${paths.length - left.length} of ${counted(paths.length, "path")} uploaded\n`);
  return left.some(isWaiting) ? exitCode.failure : setAside(context, left);
}

interface Teller {
  progress(progress: UploadProgress): void;
  /** Why nothing goes, where that is so, and once. */
  waits(progress: UploadProgress): void;
  end(): void;
}

/** A bar on a terminal that can draw one; elsewhere lines, on the stream that no program reads. */
function teller(context: CliContext, { plain: wanted }: EnqueueArguments): Teller {
  const { stdout, stderr, now } = context;
  const look = (): Appearance => appearance(context, { plain: wanted });
  const isDrawn = stdout.isTTY === true && !look().plain;
  const clear = (): void => void (isDrawn && stdout.write("\r\u001b[K"));
  let told = "";
  let tellAt = now() + tellEveryMs;
  const waits = (progress: UploadProgress): void => {
    const text = progress.waits.join("; ");
    if (text === told) return;
    told = text;
    clear();
    if (text !== "") stderr.write(`nix-tether: ${text}\n`);
  };
  return {
    waits,
    progress: (progress) => {
      waits(progress);
      if (isDrawn) {
        // One column is left free: some terminals wrap when the last is written.
        stdout.write(`\r${progressLine(progress, look().width - 1)}\u001b[K`);
      } else if (now() >= tellAt) {
        tellAt = now() + tellEveryMs;
        if (progress.rate !== null) stderr.write(`nix-tether: ${progressText(progress)}\n`);
      }
    },
    end: clear,
  };
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
