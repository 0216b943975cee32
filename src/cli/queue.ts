// `nix-tether queue`: what waits for its upload, and what is to become of it.

import { TetherError } from "../util/errors.js";
import { askQueue, type QueueAnswer } from "./ask-queue.js";
import { appearance, type CliContext } from "./context.js";
import { exitCode } from "./exit.js";
import { queueText } from "./queue-text.js";
import { storePathsOf } from "./store-paths.js";

export interface QueueArguments {
  readonly action: "list" | "retry" | "drop";
  /** All of them where none is named. */
  readonly paths: readonly string[];
  readonly json: boolean;
  readonly plain: boolean;
  /** `retry` only: also where uploads are held back. */
  readonly now: boolean;
}

/** Does it and shows the queue that follows; of `list` only the paths that are named. Resolves to the exit code. */
export async function queue(context: CliContext, args: QueueArguments): Promise<number> {
  if (args.now && args.action !== "retry")
    throw new TetherError("usage", `queue ${args.action} takes no --now`, {
      remedy: "It goes with queue retry.",
    });
  const paths = args.paths.length === 0 ? null : await storePathsOf(args.paths);
  const answer = await ask(context, args, paths);
  const shown = answer.queue.filter(({ path }) => paths === null || paths.includes(path));
  if (args.json) context.stdout.write(`${JSON.stringify(shown, null, 2)}\n`);
  else {
    const { width, plain } = appearance(context, args);
    context.stdout.write(queueText(shown, answer.status, { now: context.now(), width, plain }));
  }
  return exitCode.ok;
}

function ask(
  context: CliContext,
  { action, now }: QueueArguments,
  paths: string[] | null,
): Promise<QueueAnswer> {
  switch (action) {
    case "list":
      return askQueue(context, { command: "queue" });
    case "retry":
      return askQueue(context, { command: "queue-retry", paths, ...(now ? { now } : {}) });
    case "drop":
      return askQueue(context, { command: "queue-drop", paths });
  }
}
