// The configuration of one cache: a machine with sshd and Nix, or a binary cache on a web server.

import { z } from "zod";
import { canonicalAddress } from "../util/ip-address.js";
import { absolutePath, argument, cacheName, hostWords, paths, pattern, port } from "./leaves.js";

const priorityWords = "a whole number from 0 to 1000";

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

const httpUrlWords =
  'a URL such as "http://nas.local/cache", without a name and a password: these belong into a netrc file';
const httpUrl = z.string(httpUrlWords).refine(isCacheUrl, httpUrlWords);

function isCacheUrl(text: string): boolean {
  if (!/^https?:\/\/[^\s/?#@]+(\/[^\s?#@]*)?$/i.test(text) || !URL.canParse(text)) return false;
  const { hostname, username, password } = new URL(text);
  return hostname !== "" && username === "" && password === "";
}

/** What may be said of each way to a cache, which is gone to `what`. */
const openWayKeys = (what: string) => ({
  networks: z
    .array(network, networkWords)
    .min(1, networkWords)
    .optional()
    .describe(
      `The networks on which \`${what}\` is tried; by default all. Elsewhere it is not even looked for.`,
    ),
  "only-when-asked": z
    .boolean("true or false")
    .default(false)
    .describe(
      "Go this way only after `nix-tether connect`, until the cache is paused or the machine sleeps.",
    ),
});

/** What may be said of each way to a machine. */
const { networks, ...otherKeys } = openWayKeys("host");
const wayKeys = {
  networks,
  uploads: z
    .boolean("true or false")
    .default(true)
    .describe("Whether uploads go this way too; not over what costs by volume, for instance."),
  ...otherKeys,
};

/** What may be said of every cache, beside where it is. */
const cacheKeys = {
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
};

/** One `[[caches.NAME.ways]]` table. */
const waySchema = z.strictObject({
  host: pattern(argument, hostWords).describe(
    "The same machine by another name or address, such as a VPN's.",
  ),
  port: port.optional().describe("Port of sshd there; by default the cache's."),
  ...wayKeys,
});

const typeWords = '"ssh" or "http"';

/** One `[caches.NAME]` table of a machine with sshd and Nix. */
export const sshCacheSchema = z
  .strictObject({
    type: z
      .literal("ssh", typeWords)
      .default("ssh")
      .describe("Kind of cache: `ssh` is a machine with sshd and Nix; for `http` see the next table."),
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
      .describe(
        "Socket of the ssh-agent; by default `IdentityAgent`, `SSH_AUTH_SOCK`, then the usual places.",
      ),
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
    ...cacheKeys,
  })
  .describe("The machines, one table each. NAME is yours to choose, of letters, digits, `-` and `_`.");

const via = cacheName
  .optional()
  .describe(
    "Name of a cache of type `ssh` whose machine opens the connections, as for a web server that listens only there; the URL's host is then looked up by that machine.",
  );

/** One `[[caches.NAME.ways]]` table of an HTTP cache. */
const httpWaySchema = z.strictObject({
  url: httpUrl.describe("The same cache by another URL, such as a VPN's."),
  via,
  ...openWayKeys("url"),
});

/** One `[caches.NAME]` table of an HTTP binary cache. */
const httpCacheSchema = z
  .strictObject({
    type: z.literal("http", typeWords).describe("Kind of cache: `http` is a binary cache on a web server."),
    url: httpUrl.describe("Where it is, as Nix would be told; a `.local` name is asked by mDNS."),
    via,
    "netrc-file": absolutePath
      .optional()
      .describe(
        "Holds the name and password for the URL's host, where it wants them; by default `~/.netrc`.",
      ),
    ...openWayKeys("url"),
    ways: z
      .array(httpWaySchema, "a list of tables")
      .default([])
      .describe("Other ways to the cache, tried in this order when it is not there by `url`."),
    ...cacheKeys,
  })
  .describe("Binary caches on web servers near by, which are passed on while they are in reach.");

/** One `[caches.NAME]` table. */
export const cacheSchema = z.discriminatedUnion("type", [sshCacheSchema, httpCacheSchema], {
  error: typeWords,
});

/** One `[[caches.NAME.ways]]` table, read. */
export type WayConfig = z.output<typeof waySchema>;
export type SshCacheConfig = z.output<typeof sshCacheSchema>;
export type HttpCacheConfig = z.output<typeof httpCacheSchema>;
export type CacheConfig = z.output<typeof cacheSchema>;
