// The keys of one `[farms.NAME]` table.

import { z } from "zod";
import { parseDuration } from "./duration.js";
import { absolutePath, argument, pattern } from "./leaves.js";

/** Names become folders, parts of units' names, and words of the command line. */
export const farmName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]{0,31}$/i, 'a name of at most 32 letters, digits, "-" and "_"');

/** What Nix calls by such words is no URL of git's, though its short form for ssh looks the same. */
const repository =
  /^(?!(?:flake|github|gitlab|path|sourcehut|tarball):)(?:\/|~\/|[a-z][a-z0-9+.-]*:\/\/[^\s-]|[^\s:/-][^\s:/]*:(?!\/\/))\S*$/i;

/** What git allows in a branch's name (git-check-ref-format(1)), and a little less. */
const branch = /^(?!.*(?:\.\.|\/\/|\/\.|\.lock(?:\/|$)|[/.]$))[a-zA-Z0-9][a-zA-Z0-9._+/-]{0,199}$/;

const attributesWords = 'a list of attributes of the flake such as "packages.x86_64-linux.hello"';
const namesWords = "a list of names of static caches, or of caches in uploads.to";
const inputsWords = 'a list of names of inputs such as "nixpkgs"';
const optionWords = 'a value of Nix\'s such as "4" or true';
const keepWords = "a whole number from 1 to 100";

const timeWords = 'a span of time such as "90min" or "6h"';
const time = z
  .string(timeWords)
  // What has a longer timer than 24 days, Node ends at once.
  .refine((text) => (parseDuration(text) ?? Infinity) <= 2 ** 31 - 1, timeWords);

const truth = z.boolean("true or false");

export const farmSchema = z.strictObject({
  repository: pattern(
    repository,
    'a URL that git knows such as "https://…" or "git@host:folder", or an absolute path',
  ).describe("The git repository with the flake."),
  branch: pattern(branch, "a branch's name").optional().describe("By default the repository's own."),
  directory: pattern(/^(?!\/)(?!(?:.*\/)?\.\.(?:\/|$))[^\s-][^\0]*$/, "a path inside of the repository")
    .optional()
    .describe("Where `flake.nix` is, when not at the top."),
  attributes: z
    .array(
      pattern(/^[!-~]{1,200}$/, attributesWords).regex(/^[^#?.-][^#?]*$/, attributesWords),
      attributesWords,
    )
    .min(1, attributesWords)
    .describe(
      "The flake's outputs to build, such as `nixosConfigurations.laptop.config.system.build.toplevel`.",
    ),
  update: truth.default(true).describe("Whether to run `nix flake update` first."),
  "update-inputs": z
    .array(pattern(argument, inputsWords), inputsWords)
    .default([])
    .describe("Update only these inputs of the flake; empty means all."),
  "commit-lock": truth.default(true).describe("Whether a changed `flake.lock` is committed."),
  author: pattern(/^[^<>\n]*[^<>\s] <[^<>\s]+>$/, 'a name and an address such as "Farm <farm@example.org>"')
    .optional()
    .describe("Who commits; by default whom git is configured for, or else a `Build farm`."),
  "git-push": z
    .enum(["never", "on-success", "always"], '"never", "on-success" or "always"')
    .default("on-success")
    .describe(
      "When that commit is pushed: `on-success`, when everything was built and has been pushed to the caches; `always`, also when not.",
    ),
  "push-to": z
    .array(z.string(namesWords), namesWords)
    .default([])
    .describe(
      "Where what was built is pushed: names of `[static.NAME]`, or of `[caches.NAME]` in `uploads.to`, which get it by the queue of uploads.",
    ),
  "signing-key": absolutePath
    .optional()
    .describe(
      "Secret key file to sign with in the local store; not needed where the nix-daemon signs (`secret-key-files`) or the static cache has a key.",
    ),
  keep: z
    .int(keepWords)
    .min(1, keepWords)
    .max(100, keepWords)
    .default(2)
    .describe("How many good builds of each attribute are kept from the garbage collector."),
  "build-timeout": time.default("6h").describe("How long one attribute may take."),
  timeout: time
    .default("12h")
    .describe("How long the run may take up to the end of its builds; what is good by then is still pushed."),
  "nix-options": z
    .record(
      z.string(),
      z
        .union([z.string(), z.boolean(), z.number()], optionWords)
        .optional()
        .describe("A setting of Nix for this farm, by its name in `nix.conf`."),
    )
    .default({})
    .describe("Settings of Nix, by their names in `nix.conf`, such as `max-jobs`."),
});

/** One `[farms.NAME]` table, read. */
export type FarmConfig = z.output<typeof farmSchema>;
