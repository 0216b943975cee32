// nix-tether(1): written from the commands, the configuration's schema, the exit codes and the places of files, so that
// it says what they do.

import { configKeys, type ConfigKey } from "../../config/keys.js";
import { resolveDirs } from "../../config/dirs.js";
import type { CommandWord } from "../command-line.js";
import { exitCode, exitMeanings } from "../exit.js";
import { flag, inline, list, literal, placeholder, prose, section, synopsis } from "./mdoc.js";
import { about, environment, examples, files, seeAlso } from "./texts.js";

/** When its texts were last changed in earnest: mdoc asks for a date. */
const date = "November 22, 2026";

/** The page as mdoc source, ending with a newline. */
export function manualPage(commands: readonly CommandWord[], version: string): string {
  const sections = [
    section("NAME", ".Nm nix-tether", ".Nd use the Nix stores you own while they are in reach"),
    section("SYNOPSIS", ...commands.flatMap((command) => [".Nm", `.${synopsis(command)}`])),
    section("DESCRIPTION", about.map(prose).join("\n.Pp\n")),
    section("COMMANDS", list(commands.map((command) => [synopsis(command), explained(command)]))),
    section(
      "CONFIGURATION",
      prose("The daemon reads TOML. A key that it does not know is an error that names it."),
      list(
        configKeys().map((key) => [
          `${literal(key.path.join("."))} ${inline(`= ${key.expected}${key.kind === null ? "" : ` (type ${key.kind})`}`)}`,
          keyText(key),
        ]),
      ),
    ),
    section("ENVIRONMENT", list(environment.map(([name, text]) => [`Ev ${name}`, prose(text)]))),
    section("FILES", list(files(shownDirs()).map(([path, text]) => [`Pa ${path}`, prose(text)]))),
    section(
      "EXIT STATUS",
      list(
        Object.entries(exitCode).map(([name, code]) => [
          String(code),
          prose(exitMeanings[name as keyof typeof exitCode]),
        ]),
      ),
    ),
    section(
      "EXAMPLES",
      examples
        .map(([text, command]) => [prose(text), ".Pp", `.Dl ${literal(command)}`].join("\n"))
        .join("\n.Pp\n"),
    ),
    section(
      "SEE ALSO",
      seeAlso
        .map(([name, chapter], index) => `.Xr ${name} ${chapter}${index < seeAlso.length - 1 ? " ," : ""}`)
        .join("\n"),
    ),
  ];
  const head = [
    '.\\" Written by scripts/docs.mjs: change what it is made from.',
    `.Dd ${date}`,
    ".Dt NIX-TETHER 1",
    `.Os nix-tether ${version}`,
  ];
  return `${[...head, ...sections].join("\n")}\n`;
}

function explained(command: CommandWord): string {
  const words = command.positionals
    .filter(({ describe }) => describe !== "")
    .map((word): [string, string] => [placeholder(word), prose(`${word.describe}.`)]);
  const options = command.options.map((one): [string, string] => [flag(one), prose(`${one.describe}.`)]);
  const all = [...words, ...options];
  return [
    prose(`${command.describe}.`),
    ...command.notes.map(prose),
    ...(all.length === 0 ? [] : [list(all, " -compact")]),
  ].join("\n");
}

function keyText({ description, fallback, required }: ConfigKey): string {
  const more = required ? "Required." : fallback === null ? "" : `By default \`${fallback}\`.`;
  return prose(`${description} ${more}`.trim());
}

/** Where things lie, in the words of the XDG base directory specification. */
function shownDirs(): ReturnType<typeof resolveDirs> {
  return resolveDirs({
    XDG_CONFIG_HOME: "/$XDG_CONFIG_HOME",
    XDG_STATE_HOME: "/$XDG_STATE_HOME",
    XDG_RUNTIME_DIR: "/$XDG_RUNTIME_DIR",
  });
}
