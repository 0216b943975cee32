// What the command line consists of, read off the calls that build it for yargs: for the manual page, the completions,
// and the words that are offered for a mistyped one.

import type { Argv, Options, PositionalOptions } from "yargs";

/** The switches that every command takes, and what they do. */
export const commonOptions = { help: "Show help", version: "Show version number" } as const;

/** An option of a command. */
export interface OptionWord {
  /** With its dashes. */
  readonly name: string;
  readonly describe: string;
  /** What follows it; null for a switch. */
  readonly value: Value | null;
}

/** A word that a command takes in a certain place. */
export interface PositionalWord extends Value {
  readonly describe: string;
  readonly required: boolean;
  /** Whether more of the same may follow. */
  readonly many: boolean;
  /** Whether it stands behind a `--`, for another program. */
  readonly dashed: boolean;
}

/** What a person chooses. */
export interface Value {
  readonly name: string;
  /** All there is to choose from; empty where that is not known here. */
  readonly choices: readonly string[];
}

export interface CommandWord {
  readonly name: string;
  readonly describe: string;
  readonly positionals: readonly PositionalWord[];
  readonly options: readonly OptionWord[];
  /** What its help says at the end: a sentence or more each. */
  readonly notes: readonly string[];
}

/** What yargs is told to leave alone. */
const passedOn: PositionalWord = {
  name: "args",
  describe: "",
  choices: [],
  required: false,
  many: true,
  dashed: true,
};

/** The commands that `build` would give to yargs, in its order; hidden ones left out. */
export function recordCommands(build: (root: Argv) => Argv): CommandWord[] {
  const commands: CommandWord[] = [];
  build(
    recorder({
      command: (usage: string, describe: string | false, builder?: (command: Argv) => Argv) => {
        if (describe !== false) commands.push(recordCommand(usage, describe, builder));
      },
    }),
  );
  return commands;
}

function recordCommand(
  usage: string,
  describe: string,
  builder: (command: Argv) => Argv = (command) => command,
): CommandWord {
  const described = new Map<string, PositionalOptions>();
  const options: OptionWord[] = [];
  const notes: string[] = [];
  let passesOn = false;
  builder(
    recorder({
      positional: (name: string, spec: PositionalOptions) => void described.set(name, spec),
      option: (name: string, spec: Options) => {
        if (spec.hidden !== true) options.push(optionWord(name, spec));
      },
      epilogue: (note: string) => void notes.push(note),
      parserConfiguration: (parser: Readonly<Record<string, unknown>>) => {
        passesOn ||= parser["populate--"] === true;
      },
    }),
  );
  const [name = "", ...words] = usage.split(" ");
  const positionals = words.map((word): PositionalWord => {
    const [, bracket, known = "", dots] = /^([<[])([^.\]>]+)(\.\.)?[\]>]$/.exec(word) ?? [];
    const spec = described.get(known);
    const choices = choicesOf(spec);
    return {
      name: known,
      describe: spec?.describe ?? "",
      choices,
      required: bracket === "<",
      many: dots !== undefined,
      dashed: false,
    };
  });
  return { name, describe, positionals: [...positionals, ...(passesOn ? [passedOn] : [])], options, notes };
}

function optionWord(name: string, spec: Options): OptionWord {
  const value = spec.type === "boolean" ? null : { name, choices: choicesOf(spec) };
  return { name: `--${name}`, describe: spec.describe ?? "", value };
}

function choicesOf(spec: { choices?: Options["choices"] | undefined } | undefined): string[] {
  return (spec?.choices ?? []).map(String);
}

/** Stands in for yargs: tells `listeners` what they are named for, and lets everything else be said to it. */
function recorder(listeners: Record<string, (...args: never[]) => void>): Argv {
  const proxy: Argv = new Proxy({} as Argv, {
    get:
      (_target, method) =>
      (...args: never[]) => {
        listeners[String(method)]?.(...args);
        return proxy;
      },
  });
  return proxy;
}
