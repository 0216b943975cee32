// What keys of several tables hold.

import { z } from "zod";

// Every leaf carries, as its error text, what it expects in words: that is what a message about a wrong value
// quotes and what the documentation shows.

const pathWords = "an absolute path (a leading ~/ means your home)";

export const absolutePath = z.string(pathWords).regex(/^(\/|~\/)/, pathWords);

/** Given to a program, where a leading "-" would be an option. */
export const argument = /^[^\s-]\S*$/;

export function pattern(regex: RegExp, words: string): z.ZodString {
  return z.string(words).regex(regex, words);
}
