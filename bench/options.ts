// The bench's command line.

import { parseArgs } from "node:util";
import { nixSuites, type NixVersion } from "../test/support/private-nix.js";

export interface Options {
  /** Letters of the measurements to make. */
  readonly only: readonly string[];
  readonly rounds: number;
  /** Round trips, in milliseconds. */
  readonly delays: readonly number[];
  readonly nix: readonly NixVersion[];
  /** Multiplies the number of paths and of bytes. */
  readonly scale: number;
  /** How long the daemon is watched idling. */
  readonly idleSeconds: number;
  /** Where the results go as JSON. */
  readonly out: string | null;
  /** Results to print as Markdown, in place of measuring. */
  readonly markdown: string | null;
  /** Where profiles of the daemon go. */
  readonly profile: string | null;
}

export const usage = `usage: npm run bench -- [OPTION]...
  --only a,d      these measurements alone (see bench/main.ts for the letters)
  --rounds N      how often each (default 3)
  --delay 0,3,20  round trips, in milliseconds
  --nix 2.34,2.8  versions of Nix
  --quick         everything small, in under three minutes: for whether it works, not for its numbers
  --idle SECONDS  how long the daemon is watched idling (default 600)
  --profile DIR   writes CPU profiles of the daemon there
  --out FILE      writes the results as JSON
  --markdown FILE prints the tables of such a file
`;

/** Throws with a sentence that says what is wrong. */
export function parseOptions(argv: readonly string[], letters: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      only: { type: "string" },
      rounds: { type: "string" },
      delay: { type: "string" },
      nix: { type: "string" },
      quick: { type: "boolean", default: false },
      idle: { type: "string" },
      profile: { type: "string" },
      out: { type: "string" },
      markdown: { type: "string" },
    },
  });
  const { quick } = values;
  const only = values.only?.split(",") ?? letters;
  const unknown = only.find((letter) => !letters.includes(letter));
  if (unknown !== undefined) throw new Error(`--only: there is no ${unknown}, only ${letters.join(", ")}`);
  const nix = (values.nix ?? (quick ? "2.34" : "2.34,2.8")).split(",");
  return {
    only,
    rounds: positive("--rounds", values.rounds ?? (quick ? "1" : "3")),
    delays: (values.delay ?? (quick ? "3" : "0,3,20")).split(",").map((text) => number("--delay", text)),
    nix: nix.map((text) => {
      if (Object.hasOwn(nixSuites, text)) return text as NixVersion;
      throw new Error(`--nix: ${text} is none of ${Object.keys(nixSuites).join(", ")}`);
    }),
    scale: quick ? 0.1 : 1,
    idleSeconds: positive("--idle", values.idle ?? (quick ? "3" : "600")),
    out: values.out ?? null,
    markdown: values.markdown ?? null,
    profile: values.profile ?? null,
  };
}

function number(option: string, text: string): number {
  const value = Number(text);
  if (text === "" || !Number.isFinite(value) || value < 0) throw new Error(`${option}: ${text} is no number`);
  return value;
}

function positive(option: string, text: string): number {
  const value = number(option, text);
  if (value === 0) throw new Error(`${option}: must be more than 0`);
  return value;
}
