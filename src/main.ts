#!/usr/bin/env node
// The program's entry. The plain forms of `status` are answered without loading the command line parser, for
// prompts and status bars run them every few seconds.

import { processContext } from "./cli/context.js";
import type { StatusArguments } from "./cli/status.js";

const shortcuts: readonly { words: readonly string[]; args: StatusArguments }[] = [
  { words: ["status"], args: {} },
  { words: ["status", "--json"], args: { json: true } },
  { words: ["status", "--quiet"], args: { quiet: true } },
];

async function main(argv: readonly string[]): Promise<number> {
  const context = processContext();
  const shortcut = shortcuts.find(
    ({ words }) => words.length === argv.length && words.every((word, index) => word === argv[index]),
  );
  if (shortcut === undefined) return (await import("./cli/program.js")).runProgram(argv, context);
  const [{ status }, { fail }] = await Promise.all([import("./cli/status.js"), import("./cli/exit.js")]);
  return status(context, shortcut.args).catch((error: unknown) => fail(error, context));
}

// A reader that has seen enough (`status | head -1`) is no failure.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));
}
process.exit(await main(process.argv.slice(2)));
