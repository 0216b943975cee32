// The commands that keep and serve static caches, for the command line in program.ts.

import type { Argv } from "yargs";
import type { CliContext } from "./context.js";

const config = { type: "string", requiresArg: true, describe: "Another configuration file" } as const;
const json = { type: "boolean", describe: "The result as JSON" } as const;
const wait = {
  type: "string",
  requiresArg: true,
  describe: "How long to wait for somebody who pushes or collects; 10min when left out, 0 not at all",
} as const;

/** Adds them; `ends` is given the exit code to come. */
export function withStaticCommands(
  root: Argv,
  context: CliContext,
  ends: (end: Promise<number>) => Promise<void>,
): Argv {
  return root
    .command(
      "push <target> <installables..>",
      "Send to a static cache what it lacks of some paths and of all that they need",
      (command) =>
        withTarget(command)
          .positional("installables", {
            type: "string",
            array: true,
            demandOption: true,
            describe:
              "Store paths, links to them such as ./result, or what `nix build` takes, such as .#hello",
          })
          .option("wait", wait)
          .option("json", json)
          .option("plain", { type: "boolean", describe: "Sentences in place of a bar" })
          .option("config", config)
          .epilogue(
            "The cache is complete at every moment, also after an interruption; another push goes on from there. " +
              "What is sent is signed where the cache's [static.NAME] has a signing-key.",
          ),
      (args) =>
        ends(
          import("./push.js").then(({ push }) =>
            push(context, {
              target: args.target ?? "",
              installables: args.installables,
              config: last(args.config),
              wait: last(args.wait),
              json: isSet(args.json),
              plain: isSet(args.plain),
            }),
          ),
        ),
    )
    .command(
      "gc <target>",
      "Remove from a static cache what is old and needed by nothing younger",
      (command) =>
        withTarget(command)
          .option("older-than", {
            type: "string",
            requiresArg: true,
            describe: "What is unchanged for so long, such as 14d, may go",
          })
          .option("max-size", {
            type: "string",
            requiresArg: true,
            describe: "After that the oldest goes until the cache has no more than this, such as 500G",
          })
          .option("keep", {
            type: "string",
            array: true,
            requiresArg: true,
            describe:
              "A store path, or a pattern for names such as 'nixos-system-*', that is never removed; may be repeated",
          })
          .option("dry-run", { type: "boolean", describe: "Only say what would go" })
          .option("wait", wait)
          .option("json", json)
          .option("config", config)
          .epilogue(
            "What something that is kept refers to is kept. The cache is complete at every moment, also after an interruption. " +
              "What --older-than, --max-size and --keep say can stand in the configuration.",
          ),
      (args) =>
        ends(
          import("./gc.js").then(({ gc }) =>
            gc(context, {
              target: args.target ?? "",
              config: last(args.config),
              olderThan: last(args["older-than"]),
              maxSize: last(args["max-size"]),
              keep: args.keep ?? [],
              wait: last(args.wait),
              dryRun: isSet(args["dry-run"]),
              json: isSet(args.json),
            }),
          ),
        ),
    )
    .command(
      "fsck <target>",
      "Say what is wrong in a static cache, and remove it if told to",
      (command) =>
        withTarget(command)
          .option("repair", {
            type: "boolean",
            describe: "Remove what is broken, and what needs it; never what is merely unsigned",
          })
          .option("full", { type: "boolean", describe: "Read every NAR, and look at signatures" })
          .option("public-key", {
            type: "string",
            array: true,
            requiresArg: true,
            describe:
              "A key that paths may be signed with; may be repeated. When left out: what Nix trusts, and the cache's own",
          })
          .option("wait", wait)
          .option("json", json)
          .option("config", config)
          .epilogue("Exit codes: 0 nothing is wrong (any more), 1 something is."),
      (args) =>
        ends(
          import("./fsck.js").then(({ fsck }) =>
            fsck(context, {
              target: args.target ?? "",
              config: last(args.config),
              repair: isSet(args.repair),
              full: isSet(args.full),
              publicKeys: args["public-key"] ?? [],
              wait: last(args.wait),
              json: isSet(args.json),
            }),
          ),
        ),
    )
    .command(
      "serve <folder>",
      "Serve the folder of a static cache by HTTP",
      (command) =>
        command
          .positional("folder", { type: "string", demandOption: true, describe: "The cache's folder" })
          .option("listen", {
            type: "string",
            requiresArg: true,
            describe: "ADDRESS:PORT; every address of this machine and port 8080 when left out",
          })
          .epilogue(
            "Whoever reaches the port can read all that is in the cache. Nothing else in the folder is served, and nothing " +
              "that links lead out of it to.",
          ),
      ({ folder, listen }) =>
        ends(import("./serve.js").then(({ serve }) => serve(context, { folder, listen }))),
    );
}

function withTarget(command: Argv): Argv<{ target: string | undefined }> {
  // Elsewhere what is given twice counts once: the last.
  return command
    .parserConfiguration({ "duplicate-arguments-array": true, "greedy-arrays": false })
    .positional("target", {
      type: "string",
      demandOption: true,
      describe: "The name of one of the configuration's [static.NAME], a folder, or sftp://user@host/folder",
    });
}

/** What was given last, where it was given more than once. */
function last(value: string | undefined): string | undefined {
  return [value].flat().at(-1);
}

function isSet(value: boolean | undefined): boolean {
  return [value].flat().at(-1) === true;
}
