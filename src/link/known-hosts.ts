// Reads known_hosts files through `ssh-keygen -F`, which knows hashed names, patterns, negation and `[host]:port`.

import { constants } from "node:fs";
import { access, readFile } from "node:fs/promises";
import { TetherError, messageOf } from "../util/errors.js";
import { runTool } from "../util/run-tool.js";
import { brief } from "./brief.js";
import type { SshSettings } from "./ssh-config.js";

/** One line of a known_hosts file that speaks of the host. */
export interface KnownKey {
  /** `authority` keys sign host certificates; they are no host keys. */
  readonly marker: "key" | "revoked" | "authority";
  /** e.g. `ssh-ed25519`. */
  readonly type: string;
  /** The public key, base64 of its wire form. */
  readonly blob: string;
  /**
   * Whether the line names the host with this port. A line without the port, or with another of its names, can vouch, but
   * not contradict.
   */
  readonly exact: boolean;
}

const SSH_KEYGEN_MS = 5_000;
const MAX_REVOKED_BYTES = 4 * 1024 * 1024;

/** The names to look up, as OpenSSH's client forms them: HostKeyAlias alone, or `host`, or `[host]:port`. */
export function knownHostsNames(
  settings: Pick<SshSettings, "hostname" | "hostKeyAlias">,
  port: number,
): { exact: string; portless: string | null } {
  if (settings.hostKeyAlias !== null) return { exact: settings.hostKeyAlias, portless: null };
  // ssh writes the whole of it in lower case, an address's scope too.
  const name = settings.hostname.toLowerCase();
  if (port === 22) return { exact: name, portless: null };
  return { exact: `[${name}]:${port}`, portless: name };
}

/** The keys in what `ssh-keygen -F` prints: a `# Host … found` comment, then the line as it stands in the file. */
export function parseFoundKeys(output: string, exact: boolean): KnownKey[] {
  const keys: KnownKey[] = [];
  for (const line of output.split("\n")) {
    if (line.startsWith("#")) continue;
    const words = line.trim().split(/\s+/);
    const marker = words[0]?.startsWith("@") === true ? words.shift() : undefined;
    const [, type, blob] = words;
    if (type === undefined || blob === undefined) continue;
    if (marker === undefined) keys.push({ marker: "key", type, blob, exact });
    else if (marker === "@revoked") keys.push({ marker: "revoked", type, blob, exact });
    else if (marker === "@cert-authority") keys.push({ marker: "authority", type, blob, exact });
  }
  return keys;
}

/** See `findKnownKeys`. */
export type FindKnownKeys = typeof findKnownKeys;

/**
 * What the known_hosts files say of the host on this port. Files that are missing, or that we may not read, count as empty,
 * as with ssh. Rejects with `ssh-keygen-missing`, `known-hosts-unreadable` when ssh-keygen fails, or `revoked-keys-unreadable` when RevokedHostKeys cannot be honoured.
 */
export async function findKnownKeys(
  settings: SshSettings,
  port: number,
  deps: { env: NodeJS.ProcessEnv; signal: AbortSignal },
): Promise<KnownKey[]> {
  const names = knownHostsNames(settings, port);
  const search = async (name: string, file: string, exact: boolean): Promise<KnownKey[]> => {
    const options = { env: deps.env, ms: SSH_KEYGEN_MS, signal: deps.signal };
    const result = await runTool("ssh-keygen", ["-F", name, "-f", file], options);
    if (result === null) {
      throw new TetherError("ssh-keygen-missing", "the host key cannot be checked: no ssh-keygen in PATH", {
        remedy: "Install OpenSSH's client programs (ssh, ssh-keygen) where nix-tether finds them.",
      });
    }
    // 1 says that there is none. What could not be searched may hold that the key is revoked.
    if (result.code > 1) {
      throw new TetherError(
        "known-hosts-unreadable",
        `ssh-keygen could not search ${file}: ${brief(result.stderr)}`,
        {
          remedy: `Look at it with: ssh-keygen -F ${name} -f ${file}`,
        },
      );
    }
    return parseFoundKeys(result.stdout, exact);
  };
  const others = [...(names.portless === null ? [] : [names.portless]), ...settings.knownAs];
  const found: KnownKey[] = [];
  // One after the other, and only where there is something to find: to start a program blocks the event loop for some
  // milliseconds, and this is done at each try.
  for (const file of settings.knownHostsFiles) {
    if (!(await isReadable(file))) continue;
    found.push(...(await search(names.exact, file, true)));
    for (const name of others) found.push(...(await search(name, file, false)));
  }
  const revoked = settings.revokedHostKeys === null ? [] : await readRevoked(settings.revokedHostKeys);
  return [...found, ...revoked];
}

function isReadable(file: string): Promise<boolean> {
  return access(file, constants.R_OK).then(
    () => true,
    () => false,
  );
}

/** Of one host, by port. */
export type KnownKeysAt = (port: number) => Promise<readonly KnownKey[]>;

/** Searches once for each port. What is never awaited may fail unnoticed. */
export function searchByPort(
  settings: SshSettings,
  deps: Parameters<FindKnownKeys>[2],
  find: FindKnownKeys = findKnownKeys,
): KnownKeysAt {
  const searches = new Map<number, Promise<readonly KnownKey[]>>();
  return (port) => {
    const search = searches.get(port) ?? find(settings, port, deps);
    searches.set(port, search);
    search.catch(() => undefined);
    return search;
  };
}

/** RevokedHostKeys as plain public keys. Like ssh, refuses to go on without it. */
async function readRevoked(file: string): Promise<KnownKey[]> {
  const unreadable = (why: string, cause?: unknown): TetherError =>
    new TetherError("revoked-keys-unreadable", `RevokedHostKeys ${file}: ${why}`, {
      remedy: "Make it a readable file of public keys, one a line, or take it out of ssh_config.",
      cause,
    });
  const bytes = await readFile(file).catch((error: unknown) => {
    throw unreadable(messageOf(error), error);
  });
  if (bytes.length > MAX_REVOKED_BYTES) throw unreadable("larger than 4 MiB");
  if (bytes.subarray(0, 6).toString("latin1") === "SSHKRL")
    throw unreadable("a binary list is not supported");
  return bytes
    .toString("utf8")
    .split("\n")
    .map((line) => /(?:^|\s)((?:ssh|ecdsa|sk)-\S+)\s+(AAAA\S+)/.exec(line))
    .flatMap((match) => {
      const [, type, blob] = match ?? [];
      return type === undefined || blob === undefined ? [] : [{ type, blob }];
    })
    .map(({ type, blob }): KnownKey => ({ marker: "revoked", type, blob, exact: true }));
}
