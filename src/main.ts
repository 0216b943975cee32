#!/usr/bin/env node
// The program's entry. The plain forms of `status` are answered without loading the command line parser, for
// prompts and status bars run them every few seconds. So is `run`: a daemon would hold the parser in memory for ever.

import { processContext, type CliContext } from "./cli/context.js";
import type { StatusArguments } from "./cli/status.js";

const status = async (context: CliContext, args: StatusArguments): Promise<number> =>
  (await import("./cli/status.js")).status(context, args);

interface Shortcut {
  readonly words: readonly string[];
  readonly run: (context: CliContext) => Promise<number>;
}

const shortcuts: readonly Shortcut[] = [
  { words: ["run"], run: async (context) => (await import("./cli/run.js")).run(context, undefined) },
  { words: ["status"], run: (context) => status(context, {}) },
  { words: ["status", "--json"], run: (context) => status(context, { json: true }) },
  { words: ["status", "--quiet"], run: (context) => status(context, { quiet: true }) },
  {
    words: ["status", "--format", "waybar"],
    run: async (context) => (await import("./cli/status-waybar.js")).statusWaybar(context, {}),
  },
];

async function main(argv: readonly string[]): Promise<number> {
  const context = processContext();
  const shortcut = shortcuts.find(
    ({ words }) => words.length === argv.length && words.every((word, index) => word === argv[index]),
  );
  if (shortcut === undefined) return (await import("./cli/program.js")).runProgram(argv, context);
  const { fail } = await import("./cli/exit.js");
  return shortcut.run(context).catch((error: unknown) => fail(error, context));
}

// A reader that has seen enough (`status | head -1`) is no failure.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    // The terminal was closed: what is under way ends in order, as it does when the kernel is the first to say so.
    if (error.code === "EIO" && stream.isTTY) process.kill(process.pid, "SIGHUP");
    else process.exit(error.code === "EPIPE" ? 0 : 1);
  });
}
process.exit(await main(process.argv.slice(2)));
