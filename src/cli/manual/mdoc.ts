// Writing mdoc(7), the language of manual pages: texts that can not be taken for it, and the parts that it has macros for.

import type { CommandWord, OptionWord, PositionalWord, Value } from "../command-line.js";
import { shownName } from "../values.js";

/** Prose as mdoc has it: a line for each sentence, what stands in backquotes in bold. */
export function prose(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replace(
      /\P{ASCII}/gu,
      (sign) => `\\[u${sign.codePointAt(0)?.toString(16).toUpperCase().padStart(4, "0")}]`,
    )
    .replace(/`([^`]*)`/g, (_all, code: string) => `\\fB${code.replaceAll("-", "\\-")}\\fP`)
    .replace(/([.?!)]) (?=[A-Z])/g, "$1\n")
    .replace(/^(?=[.'])/gm, "\\&");
}

/** One that stands for itself, to the letter. */
export function literal(text: string): string {
  return prose(`\`${text}\``);
}

/** Prose for the line of a macro, where a word of its own could be a macro too. */
export function inline(text: string): string {
  return `No "${prose(text).replaceAll('"', "\\(dq").replaceAll("\n", " ")}"`;
}

export function section(title: string, ...body: string[]): string {
  return [`.Sh ${title}`, ...body].join("\n");
}

/** Each entry is what is explained, as mdoc, and the explanation, as mdoc. */
export function list(entries: readonly (readonly [tag: string, body: string])[], options = ""): string {
  return [
    `.Bl -tag -width Ds${options}`,
    ...entries.flatMap(([tag, body]) => [`.It ${tag}`, body]),
    ".El",
  ].join("\n");
}

/** A command as one writes it, on the line of a macro. */
export function synopsis({ name, options, positionals }: CommandWord): string {
  const words = [...options.map((option) => optional(flag(option))), ...positionals.map(argument)];
  return [`Cm ${name}`, ...words].join(" ");
}

/** An option with what follows it. */
export function flag({ name, value }: OptionWord): string {
  return `Fl ${name.slice(1)}${value === null ? "" : ` ${placeholder(value)}`}`;
}

/** A word that a person chooses. */
export function placeholder(value: Value): string {
  if (value.choices.length === 0) return `Ar ${shownName(value)}`;
  return `Bro ${value.choices.map((choice) => `Cm ${choice}`).join(" | ")} Brc`;
}

function argument(word: PositionalWord): string {
  const text = `${word.dashed ? "Fl - " : ""}${placeholder(word)}${word.many ? " No ..." : ""}`;
  return word.required ? text : optional(text);
}

function optional(text: string): string {
  return `Oo ${text} Oc`;
}
