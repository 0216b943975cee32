// What is said of a mistyped command or option.

import { nearest } from "../util/suggest.js";
import { commonOptions, type CommandWord } from "./command-line.js";
import { shownName } from "./values.js";

/** Yargs's complaint in words that say what to type instead. */
export function corrected(message: string, argv: readonly string[], known: readonly CommandWord[]): string {
  const command = known.find(({ name }) => name === argv.find((word) => !word.startsWith("-")));
  if (command !== undefined && message.startsWith("Not enough non-option arguments"))
    return `too few words: it is nix-tether ${usageOf(command)}`;
  const [, valueless] = /^Not enough arguments following: (.*)/.exec(message) ?? [];
  if (valueless !== undefined) return `--${valueless} needs a value behind it`;
  const [, one, other] = /^Arguments (\S+) and (\S+) are mutually exclusive/.exec(message) ?? [];
  if (one !== undefined && other !== undefined) return `--${one} and --${other} do not go together`;
  const [, name, given, choices = ""] = /Argument: (\S+), Given: "(.*)", Choices: (.*)/.exec(message) ?? [];
  if (name !== undefined && given !== undefined)
    return misnamed(name, given, choices.replaceAll('"', "").split(", "));
  const [, unknown] = /^Unknown (?:arguments?|commands?): (.*)/.exec(message) ?? [];
  return unknown === undefined ? message : unexpected(unknown.split(", "), argv, known);
}

function unexpected(
  words: readonly string[],
  argv: readonly string[],
  known: readonly CommandWord[],
): string {
  const typedCommand = argv.find((word) => !word.startsWith("-"));
  const command = known.find(({ name }) => name === typedCommand);
  if (typedCommand !== undefined && command === undefined) {
    return offer(
      "unknown command",
      typedCommand,
      known.map(({ name }) => name),
    );
  }
  const option = argv.find((word) => word.startsWith("-") && words.includes(optionName(word)));
  if (option === undefined) return `unexpected argument: ${words[0] ?? ""}`;
  const typed = option.replace(/=.*/, "");
  const all = optionsOf(known);
  if (command !== undefined && all.includes(typed)) return `${command.name} takes no ${typed}`;
  return offer("unknown option", typed, command === undefined ? all : optionsOf([command]));
}

function misnamed(name: string, given: string, choices: readonly string[]): string {
  const meant = nearest(given, choices);
  const hint = meant === undefined ? `it is one of: ${choices.join(", ")}` : `did you mean ${meant}?`;
  return `unknown ${name}: ${given}${meant === undefined ? "; " : ", "}${hint}`;
}

function usageOf({ name, positionals }: CommandWord): string {
  const words = positionals.map((word) => {
    const shown = word.choices.length > 0 ? word.choices.join("|") : shownName(word);
    const all = `${shown}${word.many ? "..." : ""}`;
    return word.required ? `<${all}>` : `[${word.dashed ? "-- " : ""}${all}]`;
  });
  return [name, ...words].join(" ");
}

function optionsOf(commands: readonly CommandWord[]): string[] {
  return [
    ...Object.keys(commonOptions).map((name) => `--${name}`),
    ...commands.flatMap((one) => one.options.map(({ name }) => name)),
  ];
}

function optionName(word: string): string {
  return word.replace(/^-+/, "").replace(/=.*/, "");
}

function offer(what: string, word: string, known: readonly string[]): string {
  const meant = nearest(word, known);
  return `${what}: ${word}${meant === undefined ? "" : `, did you mean ${meant}?`}`;
}
