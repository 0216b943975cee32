// What is said of a mistyped command or option.

import { nearest } from "../util/suggest.js";
import { commonOptions, type CommandWord } from "./command-line.js";

/** Yargs's complaint; about words that it does not know, one that shows them as typed and offers what was meant. */
export function corrected(message: string, argv: readonly string[], known: readonly CommandWord[]): string {
  const [, unknown] = /^Unknown (?:arguments?|commands?): (.*)/.exec(message) ?? [];
  if (unknown === undefined) return message;
  const commands = known.map(({ name }) => name);
  const options = [
    ...Object.keys(commonOptions).map((name) => `--${name}`),
    ...known.flatMap((one) => one.options.map(({ name }) => name)),
  ];
  const command = argv.find((word) => !word.startsWith("-"));
  if (command !== undefined && !commands.includes(command))
    return offer("unknown command", command, commands);
  const words = unknown.split(", ");
  const option = argv.find((word) => word.startsWith("-") && words.includes(optionName(word)));
  if (option !== undefined) {
    const typed = option.replace(/=.*/, "");
    if (command !== undefined && options.includes(typed)) return `${command} takes no ${typed}`;
    return offer("unknown option", typed, options);
  }
  return `unexpected argument: ${words[0] ?? ""}`;
}

function optionName(word: string): string {
  return word.replace(/^-+/, "").replace(/=.*/, "");
}

function offer(what: string, word: string, known: readonly string[]): string {
  const meant = nearest(word, known);
  return `${what}: ${word}${meant === undefined ? "" : `, did you mean ${meant}?`}`;
}
