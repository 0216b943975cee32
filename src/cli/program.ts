// The command line: which commands and options there are. Each command's code is loaded only when it is called for.

import yargs, { type Argv } from "yargs";
import { TetherError } from "../util/errors.js";
import { packageVersion } from "../util/package-files.js";
import { commonOptions, recordCommands, type CommandWord } from "./command-line.js";
import { processContext, type CliContext } from "./context.js";
import { exitCode, fail } from "./exit.js";
import { corrected } from "./mistyped.js";
import { withStaticCommands } from "./static-commands.js";

const queueActions = ["list", "retry", "drop"] as const;
const farmActions = ["run", "list", "status"] as const;
const statusFormats = ["waybar"] as const;
const buildsThere = "Build on a cache's machine where that is in reach, and then as usual here";
const shells = ["bash", "zsh", "fish"] as const;

const plain = { type: "boolean", describe: "Sentences, without tables and drawings" } as const;
const now = { type: "boolean", describe: "Send also on a metered connection or a low battery" } as const;

/** Runs one command line (without the program's name). Resolves to the exit code; never rejects. */
export async function runProgram(argv: readonly string[], context: CliContext): Promise<number> {
  let code: number | null = null;
  const ends = (end: Promise<number>): Promise<void> => end.then((value) => void (code = value));
  try {
    await program(yargs(), argv, context, ends).parseAsync([...argv], {}, (_error, _argv, output) => {
      if (output === "") return;
      context.stdout.write(`${output}\n`);
      code = exitCode.ok;
    });
    if (code === null) throw usage("say what to do");
    return code;
  } catch (error) {
    return fail(error, context);
  }
}

/** Every command there is, with its options and the words that it takes. */
export function commandWords(): CommandWord[] {
  return recordCommands((root) => program(root, [], processContext(), async () => undefined));
}

function program(
  root: Argv,
  argv: readonly string[],
  context: CliContext,
  ends: (end: Promise<number>) => Promise<void>,
): Argv {
  const width = context.stdout.isTTY === true ? context.stdout.columns || 80 : 100;
  const commands = root
    .scriptName("nix-tether")
    .locale("en")
    .usage("$0 <command>\n\nUse the Nix stores you own while they are in reach.")
    .wrap(Math.min(width, 100))
    .parserConfiguration({ "duplicate-arguments-array": false, "boolean-negation": false })
    .exitProcess(false)
    .strict()
    .version("version", commonOptions.version, packageVersion())
    .help("help", commonOptions.help)
    .alias({ help: "h", version: "V" })
    .epilogue("nix-tether(1) says more, and so does `nix-tether <command> --help`.")
    .fail((message, error) => {
      // A command's own failure comes as an error without a message of yargs's.
      throw message ? usage(corrected(message, argv, commandWords())) : error;
    })
    .command(
      "run",
      "Be the daemon: find the machines and keep Nix told of those in reach",
      (command) =>
        command
          .option("config", {
            type: "string",
            requiresArg: true,
            describe: "Another configuration file",
          })
          .epilogue("Usually systemd runs it: `systemctl --user start nix-tether`."),
      (args) => ends(import("./run.js").then(({ run }) => run(context, args.config))),
    )
    .command(
      "status [cache]",
      "Say which caches are in use, and why the others are not",
      (command) =>
        withCache(command)
          .option("json", { type: "boolean", describe: "The whole report as JSON" })
          .option("watch", { type: "boolean", describe: "Go on showing it until interrupted" })
          .option("quiet", { type: "boolean", describe: "Print nothing; the exit code tells" })
          .option("plain", plain)
          .option("format", { choices: statusFormats, describe: "A line of JSON for a bar; exits with 0" })
          .conflicts("quiet", ["json", "watch", "format", "plain"])
          .conflicts("format", ["json", "plain"])
          .conflicts("plain", "json")
          .epilogue(
            "It exits with 0 when every cache that was asked about is online, 3 when one is not, 4 when no daemon runs. " +
              "The JSON is stable: keys are added, never renamed.",
          ),
      (args) =>
        ends(
          args.format === undefined
            ? import("./status.js").then(({ status }) => status(context, args))
            : import("./status-waybar.js").then(({ statusWaybar }) => statusWaybar(context, args)),
        ),
    )
    .command(
      "doctor [cache]",
      "Look at everything that must be right for a cache to be used, and say what to do about what is not",
      (command) =>
        withCache(command)
          .option("json", { type: "boolean", describe: "The results as JSON" })
          .option("config", { type: "string", requiresArg: true, describe: "Another configuration file" })
          .epilogue("Exit codes: 0 all is well, 1 something must be mended."),
      (args) => ends(import("./doctor.js").then(({ doctor }) => doctor(context, args))),
    )
    .command(
      "trust <cache>",
      "Show the host key of a cache's machine, and make it known if you say that it is the right one",
      (command) =>
        command
          .positional("cache", { type: "string", demandOption: true, describe: "The cache" })
          .option("fingerprint", {
            type: "string",
            requiresArg: true,
            describe: "What ssh-keygen -l says of the key on that machine (SHA256:…); then nobody is asked",
          })
          .option("config", { type: "string", requiresArg: true, describe: "Another configuration file" }),
      (args) => ends(import("./trust.js").then(({ trust }) => trust(context, args))),
    )
    .command(
      "unlist",
      "Make Nix forget every cache; needs no daemon",
      (command) =>
        command.epilogue("The service runs it when the daemon has ended, however that came about."),
      () => ends(import("./unlist.js").then(({ unlist }) => unlist(context))),
    )
    .command(
      "pause [cache]",
      "Stop using a cache until it is resumed, restarts included",
      withCache,
      (args) => ends(import("./pause.js").then(({ tellDaemon }) => tellDaemon(context, "pause", args.cache))),
    )
    .command("resume [cache]", "Use a paused cache again; try one that waits at once", withCache, (args) =>
      ends(import("./pause.js").then(({ tellDaemon }) => tellDaemon(context, "resume", args.cache))),
    )
    .command(
      "connect [cache]",
      "As resume, and go also the ways that are `only-when-asked`",
      (command) =>
        withCache(command).epilogue(
          "It counts until the cache is reached by a way that needs no asking, is paused, or the machine sleeps.",
        ),
      (args) =>
        ends(import("./pause.js").then(({ tellDaemon }) => tellDaemon(context, "connect", args.cache))),
    )
    .command(
      "explain <path>",
      "Say why a path was or was not fetched from the caches",
      (command) =>
        command
          .positional("path", {
            type: "string",
            demandOption: true,
            describe: "A store path, its first 32 characters, or a link to it such as ./result",
          })
          .option("json", { type: "boolean", describe: "The explanation as JSON" })
          .epilogue(
            "It asks the machines at home, the local store, and those of Nix's other caches that are asked before them.",
          ),
      ({ path, json }) =>
        ends(import("./explain.js").then(({ explain }) => explain(context, { path, json: json === true }))),
    )
    .command(
      "enqueue <paths..>",
      "Upload store paths that were not built just now",
      (command) =>
        withPaths(command)
          .option("wait", { type: "boolean", describe: "Wait until they have arrived" })
          .option("now", now)
          .option("plain", plain)
          .epilogue(
            "What they need at run time goes with them. A path that is set aside makes the command fail.",
          ),
      (args) =>
        ends(
          import("./enqueue.js").then(({ enqueue }) =>
            enqueue(context, {
              paths: args.paths ?? [],
              wait: args.wait === true,
              now: args.now === true,
              plain: args.plain === true,
            }),
          ),
        ),
    )
    .command(
      "queue <action> [paths..]",
      "What waits for its upload: list it, retry it at once, or drop it",
      (command) =>
        withPaths(command)
          .positional("action", { choices: queueActions, demandOption: true })
          .option("json", { type: "boolean", describe: "The list as JSON" })
          .option("plain", plain)
          .option("now", { ...now, describe: `With retry: ${now.describe.toLowerCase()}` })
          .conflicts("plain", "json")
          .epilogue("Without paths it is about all of them."),
      ({ action, paths = [], json = false, plain: isPlain = false, now: isNow = false }) =>
        ends(
          import("./queue.js").then(({ queue }) =>
            queue(context, { action, paths, json, plain: isPlain, now: isNow }),
          ),
        ),
    )
    .command(
      "build <cache>",
      buildsThere,
      (command) =>
        command
          .parserConfiguration({ "populate--": true, "parse-positional-numbers": false })
          .usage(`$0 build <cache> [-- args..]\n\n${buildsThere}`)
          .positional("cache", { type: "string", demandOption: true, describe: "The cache" })
          .epilogue("What follows `--` is for `nix build`: `nix-tether build pi -- .#hello -L`."),
      ({ cache, "--": rest }) => {
        const args = Array.isArray(rest) ? rest.map(String) : [];
        return ends(import("./build.js").then(({ build }) => build(context, { cache, args })));
      },
    )
    .command(
      "farm <action> [farm]",
      "Update a flake, build it, and push the results: run a farm now, list all, tell of their last runs",
      (command) =>
        command
          .positional("action", { choices: farmActions, demandOption: true })
          .positional("farm", { type: "string", describe: "Which of the configuration's farms" })
          .option("json", { type: "boolean", describe: "The report as JSON" })
          .option("config", { type: "string", requiresArg: true, describe: "Another configuration file" })
          .epilogue(
            "`run` and `status` exit with 0 when all is well, 6 when a build failed, 7 when everything was built and not everything " +
              "pushed, 1 when it did not come to that; `run` with 5 while another run of the farm is under way.",
          ),
      ({ action, farm: name, json, config }) =>
        ends(import("./farm.js").then(({ farm }) => farm(context, { action, farm: name, json, config }))),
    )
    .command(
      "hook-script",
      "Print the path of the post-build hook",
      (command) => command,
      () => ends(import("./hook-script.js").then(({ hookScript }) => hookScript(context))),
    )
    .command(
      "completion <shell>",
      "Print a script that completes this command's words in your shell",
      (command) =>
        command
          .positional("shell", { choices: shells, demandOption: true })
          .epilogue("For bash, in ~/.bashrc: `source <(nix-tether completion bash)`."),
      ({ shell }) =>
        ends(import("./completion.js").then(({ completion }) => completion(context, shell, commandWords()))),
    )
    .command(
      "demo",
      "Show on this machine alone how it works, leaving nothing behind",
      (command) => command,
      () => ends(import("../demo/demo.js").then(({ runDemo }) => runDemo(context))),
    );
  return withStaticCommands(commands, context, ends);
}

function withCache(command: Argv): Argv<{ cache: string | undefined }> {
  return command.positional("cache", { type: "string", describe: "One cache; all of them when left out" });
}

function withPaths(command: Argv): Argv<{ paths: string[] | undefined }> {
  // Elsewhere what is given twice counts once: the last.
  return command.parserConfiguration({ "duplicate-arguments-array": true }).positional("paths", {
    type: "string",
    array: true,
    describe: "Store paths, or links to them such as ./result",
  });
}

function usage(message: string): TetherError {
  return new TetherError("usage", message, { remedy: "See nix-tether --help." });
}
