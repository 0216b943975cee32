// The configuration: every key, what it may hold, its default, and the sentence that documents it.
// The documentation's tables and every error message come from here.

import { z } from "zod";
import { canonicalAddress } from "../util/ip-address.js";
import { farmName, farmSchema } from "./farm-schema.js";
import { absolutePath, argument, pattern } from "./leaves.js";
import { parseSize } from "./size.js";

/** Names become URL path segments (beside `/metrics`), socket names (beside `control.sock`) and status keys: plain words. */
const cacheName = z
  .string()
  .regex(
    /^(?!(?:control|metrics)$)[a-z0-9][a-z0-9_-]{0,31}$/i,
    'a name of at most 32 letters, digits, "-" and "_", other than "control" and "metrics"',
  );

const pathsWords = "an absolute path (a leading ~/ means your home), or a list of these";
const paths = z.union([absolutePath, z.array(absolutePath).min(1, pathsWords)], pathsWords);

const portWords = "a whole number from 1 to 65535";
const port = z.int(portWords).min(1, portWords).max(65535, portWords);

const waitWords = "a number of seconds from 0 to 120";

const percentWords = "a whole number of percent from 0 to 100";

const priorityWords = "a whole number from 0 to 1000";

const patternsWords = 'a list of patterns for names such as "*-source"';
const patterns = z
  .array(z.string(patternsWords).regex(/^[0-9a-zA-Z+\-._?=*]{1,211}$/, patternsWords), patternsWords)
  .default([]);

const sizeWords = 'a size such as "500M" or "2G"';
const size = z
  .string(sizeWords)
  .refine((text) => parseSize(text) !== null, sizeWords)
  .transform((text) => parseSize(text) ?? 0);

const cacheUrl = /^https?:\/\/[^\s/?#@]+[^\s?#@]*$/;
const urlsWords = 'a list of URLs such as "https://cache.nixos.org"';

const networkWords =
  'the networks that it is for: names of NetworkManager\'s connections, "ssid:NAME", "gateway:ADDRESS"';

/** A connection whose name looks like another kind of rule is written `connection:NAME`. */
const network = z
  .string(networkWords)
  .refine(
    (rule) => /^(connection|ssid):./.test(rule) || isGateway(rule) || /^(?![a-z]+:)\S/.test(rule),
    networkWords,
  );

function isGateway(rule: string): boolean {
  return rule.startsWith("gateway:") && canonicalAddress(rule.slice("gateway:".length)) !== null;
}

const hostWords = "a host name, address or ssh alias";

/** What may be said of each way to a machine. */
const wayKeys = {
  networks: z
    .array(network, networkWords)
    .min(1, networkWords)
    .optional()
    .describe("The networks on which `host` is tried; by default all. Elsewhere it is not even looked for."),
  uploads: z
    .boolean("true or false")
    .default(true)
    .describe("Whether uploads go this way too; not over what costs by volume, for instance."),
  "only-when-asked": z
    .boolean("true or false")
    .default(false)
    .describe(
      "Go this way only after `nix-tether connect`, until the cache is paused or the machine sleeps.",
    ),
};

/** One `[[caches.NAME.ways]]` table. */
const waySchema = z.strictObject({
  host: pattern(argument, hostWords).describe(
    "The same machine by another name or address, such as a VPN's.",
  ),
  port: port.optional().describe("Port of sshd there; by default the cache's."),
  ...wayKeys,
});

/** One `[caches.NAME]` table. */
export const cacheSchema = z.strictObject({
  type: z.literal("ssh", '"ssh"').default("ssh").describe("Kind of cache: a machine with sshd and Nix."),
  host: pattern(argument, hostWords).describe(
    "The machine: a `.local` name (asked by mDNS), another name, an address, or an alias in `~/.ssh/config`.",
  ),
  user: pattern(argument, "a login name").optional().describe("Login name; by default what `ssh -G` says."),
  port: port.optional().describe("Port of sshd; by default what the service browse or `ssh -G` says."),
  "identity-file": paths
    .optional()
    .describe("Private key file(s), unencrypted; by default what `ssh -G` says. An agent is better."),
  "identity-agent": absolutePath
    .optional()
    .describe("Socket of the ssh-agent; by default `IdentityAgent`, `SSH_AUTH_SOCK`, then the usual places."),
  "known-hosts": paths
    .optional()
    .describe("known_hosts file(s) that must hold the machine's host key; by default what `ssh -G` says."),
  transport: z
    .enum(["auto", "socket", "stdio"], '"auto", "socket" or "stdio"')
    .default("auto")
    .describe(
      "`socket` forwards to the nix-daemon's socket, `stdio` runs `nix-daemon --stdio`; `auto` tries them in this order.",
    ),
  "remote-socket": pattern(/^\//, "an absolute path")
    .default("/nix/var/nix/daemon-socket/socket")
    .describe("The nix-daemon's socket on the machine."),
  service: pattern(/^_[a-z0-9-]+\._tcp$/i, 'a service type such as "_ssh._tcp"')
    .optional()
    .describe("Find the machine by browsing this mDNS service instead of asking for its name."),
  instance: pattern(/\S/, "an instance name")
    .optional()
    .describe("The instance name to look for with `service`; by default `host` without its `.local`."),
  ...wayKeys,
  ways: z
    .array(waySchema, "a list of tables")
    .default([])
    .describe("Other ways to the machine, tried in this order when it is not there by `host`."),
  priority: z
    .int(priorityWords)
    .min(0, priorityWords)
    .max(1000, priorityWords)
    .default(30)
    .describe("Nix asks lower numbers first; cache.nixos.org has 40."),
  "public-keys": z
    .array(
      // A "#" would start a comment in nix.conf.
      pattern(/^[^\s:#]+:[A-Za-z0-9+/]+=*$/, 'a key such as "pi-1:base64…="'),
      'a list of keys such as "pi-1:base64…="',
    )
    .default([])
    .describe(
      "Keys that the machine's paths are signed with; told to Nix where you are a trusted user or there is no nix-daemon.",
    ),
  trusted: z
    .boolean("true or false")
    .default(false)
    .describe("Accept the machine's unsigned paths (writes `?trusted=true`); only for Nix's trusted users."),
});

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

/** One `[[caches.NAME.ways]]` table, read. */
export type WayConfig = z.output<typeof waySchema>;
/** One `[static.NAME]` table, read. */
export type StaticConfig = z.output<typeof staticSchema>;
export type SshCacheConfig = z.output<typeof cacheSchema>;
export type CacheConfig = SshCacheConfig;
export type Config = z.output<typeof configSchema>;
