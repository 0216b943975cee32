// What OpenSSH's own configuration says of a host: `ssh -G` reads ~/.ssh/config better than any parser could.

import { hostname as localHostname, userInfo } from "node:os";
import { TetherError } from "../util/errors.js";
import { printable } from "../util/printable.js";
import { runTool } from "../util/run-tool.js";
import { configuredCiphers, type Ciphers } from "./ciphers.js";
import { expandHome, expandTokens, type TokenValues } from "./ssh-tokens.js";

/** What is configured of a machine that one logs in to. */
export interface HostConfig {
  readonly host: string;
  readonly user?: string;
  readonly port?: number;
  readonly identityFiles?: readonly string[];
  readonly identityAgent?: string;
  readonly knownHosts?: readonly string[];
}

/** The part of a cache's configuration that the link needs. */
export interface LinkConfig extends HostConfig {
  /** The cache's name, for what a message says to do. */
  readonly cache: string;
  readonly transport: "auto" | "socket" | "stdio";
  readonly remoteSocket: string;
}

/** What ssh would do for this host, with the cache's own configuration laid over it. File names are absolute. */
export interface SshSettings {
  /** The name or address that discovery must look for, in lower case but for the scope of an IPv6 address. */
  readonly hostname: string;
  readonly user: string;
  readonly port: number;
  /** Whether the configuration or ssh_config chose the port, so that it beats the port of an SRV record. */
  readonly portIsExplicit: boolean;
  readonly identityFiles: readonly string[];
  /** Whether the cache's own configuration named them; then they come first, and a missing one is an error. */
  readonly identityFilesConfigured: boolean;
  readonly identitiesOnly: boolean;
  /** A socket, `"none"` for no agent at all, or null where it is left to the environment. */
  readonly identityAgent: string | null;
  readonly hostKeyAlias: string | null;
  /** Other names under which known_hosts may vouch for the machine's key. */
  readonly knownAs: readonly string[];
  /** The user's files before the system's. */
  readonly knownHostsFiles: readonly string[];
  /** Where a host key that the user has confirmed belongs; null where ssh_config names no file for that. */
  readonly ownKnownHostsFile: string | null;
  /** Whether names are hashed in it. */
  readonly hashKnownHosts: boolean;
  readonly revokedHostKeys: string | null;
  /** What somebody has chosen, in order; null where nobody has. */
  readonly ciphers: Ciphers | null;
  /** False where there is no ssh program: then aliases and all else in ~/.ssh/config are not known. */
  readonly sshConfigRead: boolean;
}

// `Match exec` and CanonicalizeHostname may run programs and ask the network.
const SSH_G_MS = 5_000;
const SSH_PORT = 22;

/** What ssh falls back to, from ssh_config(5); used only where there is no ssh program to ask. */
const defaults = `
identityfile ~/.ssh/id_ed25519
identityfile ~/.ssh/id_ecdsa
identityfile ~/.ssh/id_rsa
userknownhostsfile ~/.ssh/known_hosts ~/.ssh/known_hosts2
globalknownhostsfile /etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2
`;

/**
 * Asks `ssh -G`. Rejects with `ssh-config-invalid` when ssh refuses its configuration or the host's name or it allows no
 * cipher that we have, and with `proxy-unsupported` for a host that is reached through another.
 */
export async function readSshSettings(
  config: HostConfig,
  deps: { readonly env: NodeJS.ProcessEnv; readonly signal: AbortSignal },
): Promise<SshSettings> {
  const args = [
    "-G",
    ...(config.user === undefined ? [] : ["-l", config.user]),
    ...(config.port === undefined ? [] : ["-p", String(config.port)]),
    "--",
    config.host,
  ];
  const result = await runTool("ssh", args, { env: deps.env, ms: SSH_G_MS, signal: deps.signal });
  if (result !== null && result.code !== 0) {
    throw new TetherError(
      "ssh-config-invalid",
      `ssh does not accept its configuration for ${config.host}: ${printable(result.stderr)}`,
      { remedy: `Run "ssh -G ${config.host}" in a terminal and correct what it names.` },
    );
  }
  return interpretSshConfig(result?.stdout ?? null, config, deps.env);
}

/** The settings in the output of `ssh -G`, or without it (null) ssh's own defaults. Throws as `readSshSettings` rejects. */
export function interpretSshConfig(
  text: string | null,
  config: HostConfig,
  env: NodeJS.ProcessEnv,
): SshSettings {
  const values = parseLines(text ?? defaults);
  const one = (key: string): string | null => values.get(key)?.[0] ?? null;
  refuseProxy(config.host, one("proxyjump"), "ProxyJump");
  refuseProxy(config.host, one("proxycommand"), "ProxyCommand");
  const local = userInfo();
  // A scope is the name of an interface, and capitals count in it.
  const hostname = (one("hostname") ?? config.host).replace(/^[^%]*/, (name) => name.toLowerCase());
  const user = config.user ?? one("user") ?? local.username;
  const port = config.port ?? Number(one("port") ?? SSH_PORT);
  const hostKeyAlias = one("hostkeyalias");
  const tokens: TokenValues = {
    home: env["HOME"] ?? local.homedir,
    originalHost: config.host,
    hostname,
    port,
    user,
    localUser: local.username,
    localHost: localHostname(),
    uid: local.uid,
    hostKeyAlias,
    env,
  };
  const files = (list: readonly string[]): string[] =>
    list.filter((name) => name !== "" && name !== "none").map((name) => expandTokens(name, tokens));
  // ssh -G prints names with spaces in them without quotes. A name begins with `/`, `~` or a notation for a folder.
  const names = (key: string): string[] => files((one(key) ?? "").split(/\s+(?=[/~]|%d|\$\{)/));
  const own = (list: readonly string[]): string[] => list.map((name) => expandHome(name, tokens.home));
  const ownKnownHosts = own(config.knownHosts ?? names("userknownhostsfile"));
  return {
    hostname,
    user,
    port,
    portIsExplicit: config.port !== undefined || port !== SSH_PORT,
    identityFiles: own(config.identityFiles ?? files(values.get("identityfile") ?? [])),
    identityFilesConfigured: config.identityFiles !== undefined,
    identitiesOnly: one("identitiesonly") === "yes",
    identityAgent:
      config.identityAgent === undefined
        ? agentOf(one("identityagent"), tokens)
        : expandHome(config.identityAgent, tokens.home),
    hostKeyAlias: hostKeyAlias?.toLowerCase() ?? null,
    knownAs: [],
    knownHostsFiles: [
      ...ownKnownHosts,
      ...(config.knownHosts === undefined ? own(names("globalknownhostsfile")) : []),
    ],
    ownKnownHostsFile: ownKnownHosts[0] ?? null,
    hashKnownHosts: one("hashknownhosts") === "yes",
    revokedHostKeys: files([one("revokedhostkeys") ?? "none"])[0] ?? null,
    ciphers: ciphersOf(config.host, one("ciphers")),
    sshConfigRead: text !== null,
  };
}

/** `key value…` lines, keys in lower case; a key may come several times. */
function parseLines(text: string): Map<string, string[]> {
  const values = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const match = /^(\S+)\s+(.*\S)\s*$/.exec(line);
    const [, key, value] = match ?? [];
    if (key === undefined || value === undefined) continue;
    const list = values.get(key.toLowerCase()) ?? [];
    values.set(key.toLowerCase(), [...list, value]);
  }
  return values;
}

function agentOf(value: string | null, tokens: TokenValues): string | null {
  if (value === null || value === "SSH_AUTH_SOCK") return null;
  if (value === "none") return "none";
  // ssh would go without an agent where the variable is not set, but a user service often lacks it.
  if (/^\$\w+$/.test(value)) return tokens.env[value.slice(1)] ?? null;
  return expandTokens(value, tokens);
}

function ciphersOf(host: string, value: string | null): Ciphers | null {
  const ciphers = configuredCiphers(value);
  if (ciphers?.length !== 0) return ciphers;
  throw new TetherError("ssh-config-invalid", `ssh_config allows no cipher for ${host} but ${value}`, {
    remedy: `Name one that nix-tether has too, such as aes128-gcm@openssh.com, with Ciphers in ~/.ssh/config.`,
  });
}

function refuseProxy(host: string, value: string | null, keyword: string): void {
  if (value === null || value === "none") return;
  throw new TetherError(
    "proxy-unsupported",
    // The value is left out: a proxy's command line may hold a password.
    `ssh_config reaches ${host} through a ${keyword}; nix-tether connects only directly`,
    {
      remedy:
        `Give this host a block of its own without ${keyword} in ~/.ssh/config (for example "Host ${host}-lan" ` +
        `with HostName and "${keyword} none") and name that as the cache's host.`,
    },
  );
}
