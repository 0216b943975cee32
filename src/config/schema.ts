// The configuration: every key, what it may hold, its default, and the sentence that documents it.
// The documentation's tables and every error message come from here.

import { z } from "zod";
import { cacheSchema } from "./cache-schema.js";
import { parseDuration } from "./duration.js";
import { farmName, farmSchema } from "./farm-schema.js";
import { parseSize } from "./size.js";
import { absolutePath, argument, cacheName, hostWords, pattern, port } from "./leaves.js";

export type { CacheConfig, HttpCacheConfig, SshCacheConfig, WayConfig } from "./cache-schema.js";

const waitWords = "a number of seconds from 0 to 120";

const percentWords = "a whole number of percent from 0 to 100";

const patternsWords = 'a list of patterns for names such as "*-source"';
const patterns = z
  .array(z.string(patternsWords).regex(/^[0-9a-zA-Z+\-._?=*]{1,211}$/, patternsWords), patternsWords)
  .default([]);

const sizeWords = 'a size such as "500M" or "2G"';
const size = z
  .string(sizeWords)
  .refine((text) => parseSize(text) !== null, sizeWords)
  .transform((text) => parseSize(text) ?? 0);

const ageWords = 'a span of time such as "14d" or "12h"';
const age = z
  .string(ageWords)
  .refine((text) => parseDuration(text) !== null, ageWords)
  .transform((text) => parseDuration(text) ?? 0);

const keepShape = /^(\/nix\/store\/[0-9a-z]{32}-[0-9a-zA-Z+\-._?=]{1,211}|[0-9a-zA-Z+\-._?=*]{1,211})$/;
const keepWords = 'a list of store paths, or patterns for names such as "nixos-system-*"';

const cacheUrl = /^https?:\/\/[^\s/?#@]+[^\s?#@]*$/;
const urlsWords = 'a list of URLs such as "https://cache.nixos.org"';

/** One `[static.NAME]` table. */
const staticSchema = z.strictObject({
  host: pattern(argument, hostWords)
    .optional()
    .describe(
      "The machine with the folder, as in `[caches.NAME]`; by default this one. It needs sshd with SFTP.",
    ),
  user: pattern(argument, "a login name").optional().describe("Login name; by default what `ssh -G` says."),
  port: port.optional().describe("Port of sshd; by default what `ssh -G` says."),
  path: pattern(/^\/[^\0]*[^\0/]$/, "the absolute path of a folder").describe(
    "The cache's folder on that machine.",
  ),
  "signing-key": absolutePath
    .optional()
    .describe("Secret key file that what is pushed is signed with, as `nix key generate-secret` makes it."),
  compression: z
    .enum(["zstd", "xz", "none"], '"zstd", "xz" or "none"')
    .default("zstd")
    .describe("How NARs are compressed: `zstd` is quick, `xz` is smaller and takes far longer."),
  "older-than": age
    .optional()
    .describe(
      "What `nix-tether gc` takes for old, unless it is told: unchanged for so long, and needed by nothing younger.",
    ),
  "max-size": size
    .optional()
    .describe("What the cache may have after `nix-tether gc`, unless that is told; the oldest goes for it."),
  keep: z
    .array(pattern(keepShape, keepWords), keepWords)
    .default([])
    .describe("What `nix-tether gc` never takes, with all that it needs; `*` is any characters, `?` one."),
});

/** The whole of `config.toml`. That `uploads.to` names caches is checked where it is loaded. */
export const configSchema = z.strictObject({
  gateway: z
    .strictObject({
      port: port.default(37515).describe("Port of the gateway on 127.0.0.1."),
      "resume-wait": z
        .number(waitWords)
        .min(0, waitWords)
        .max(120, waitWords)
        .default(20)
        .describe(
          "How many seconds a transfer that was cut waits for the machine's return before Nix is told to go elsewhere; 0 never.",
        ),
      "metrics-users": z
        .array(pattern(argument, "a login name"), "a list of login names")
        .default([])
        .describe("Users besides you that may read `/metrics`, such as the one that Prometheus runs as."),
    })
    .prefault({})
    .describe("The local binary cache that Nix talks to."),
  caches: z
    .record(cacheName, cacheSchema)
    .default({})
    .describe("The machines, one table each. NAME is yours to choose, of letters, digits, `-` and `_`."),
  static: z
    .record(cacheName, staticSchema)
    .default({})
    .describe("Static binary caches that are filled from here, one table each."),
  uploads: z
    .strictObject({
      to: z
        .array(cacheName, "a list of names of caches")
        .default([])
        .describe("The caches that what is built here is uploaded to, whenever they are in reach."),
      source: z
        .enum(["hook", "watch"], '"hook" or "watch"')
        .default("hook")
        .describe(
          "How it is noticed what is built here: `hook`, by the post-build hook that root has installed; `watch`, by watching `/nix/store`, which needs nothing from root.",
        ),
      "signing-key": absolutePath
        .optional()
        .describe(
          "Secret key file that uploads are signed with, as `nix key generate-secret` makes it; only needed where you are none of the machine's trusted users.",
        ),
      only: patterns.describe(
        "Upload only what has a name that fits one of these, such as `hello-*`; `*` is any characters, `?` one.",
      ),
      skip: patterns.describe("Do not upload what has a name that fits one of these, such as `*-source`."),
      "max-size": size
        .optional()
        .describe("Do not upload a path whose NAR is larger, unless something that is uploaded needs it."),
      "skip-available-in": z
        .array(z.string(urlsWords), urlsWords)
        // As a whole: a message about one would quote it, and with it a password that does not belong there.
        .refine((urls) => urls.every((url) => cacheUrl.test(url)), urlsWords)
        .default([])
        .describe(
          "Do not upload what one of these binary caches has, such as `https://cache.nixos.org`; one that can not be asked has nothing.",
        ),
      derivations: z
        .boolean("true or false")
        .default(false)
        .describe("Send the derivations (`.drv`) along, with all that they are made of."),
      "substitute-on-destination": z
        .boolean("true or false")
        .default(false)
        .describe(
          "Have the machine fetch from its own substituters what was fetched here and is needed there; what these lack is sent.",
        ),
      "on-metered": z
        .boolean("true or false")
        .default(false)
        .describe("Upload also on a connection that NetworkManager takes for metered."),
      "battery-level": z
        .int(percentWords)
        .min(0, percentWords)
        .max(100, percentWords)
        .default(30)
        .describe("On battery, upload only while it holds at least this many percent; 0 always."),
    })
    .prefault({})
    .describe("What is sent to the machines."),
  farms: z
    .record(farmName, farmSchema)
    .default({})
    .describe("What a build farm updates, builds and pushes, one table each, by names of your choice."),
});

/** One `[static.NAME]` table, read. */
export type StaticConfig = z.output<typeof staticSchema>;
export type Config = z.output<typeof configSchema>;
