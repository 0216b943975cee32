// What keys of several tables hold.

import { z } from "zod";

// Every leaf carries, as its error text, what it expects in words: that is what a message about a wrong value
// quotes and what the documentation shows.

const nameWords = 'a name of at most 32 letters, digits, "-" and "_", other than "control" and "metrics"';
/** Names become URL path segments (beside `/metrics`), socket names (beside `control.sock`) and status keys: plain words. */
export const cacheName = z
  .string(nameWords)
  .regex(/^(?!(?:control|metrics)$)[a-z0-9][a-z0-9_-]{0,31}$/i, nameWords);

const pathWords = "an absolute path (a leading ~/ means your home)";

export const absolutePath = z.string(pathWords).regex(/^(\/|~\/)/, pathWords);

const pathsWords = "an absolute path (a leading ~/ means your home), or a list of these";
export const paths = z.union([absolutePath, z.array(absolutePath).min(1, pathsWords)], pathsWords);

const portWords = "a whole number from 1 to 65535";
export const port = z.int(portWords).min(1, portWords).max(65535, portWords);

/** Given to a program, where a leading "-" would be an option. */
export const argument = /^[^\s-]\S*$/;

export function pattern(regex: RegExp, words: string): z.ZodString {
  return z.string(words).regex(regex, words);
}

export const hostWords = "a host name, address or ssh alias";
