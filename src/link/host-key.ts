// Decides whether a host key may be trusted, which kinds to ask sshd for, and what to tell the user when it may not.
// Nothing is ever learned here: an unknown key is refused.

import { createHash } from "node:crypto";
import ssh2 from "ssh2";
import type { ServerHostKeyAlgorithm } from "ssh2";
import { TetherError } from "../util/errors.js";
import { knownHostsNames, type KnownKey } from "./known-hosts.js";
import type { SshSettings } from "./ssh-config.js";

export type HostKeyVerdict = "known" | "unknown" | "changed" | "revoked";

/** What known_hosts says of the key (in wire form) that a host has proved to hold. */
export function judgeHostKey(known: readonly KnownKey[], key: Buffer): HostKeyVerdict {
  const blob = key.toString("base64");
  const same = known.filter((entry) => entry.blob === blob);
  if (same.some((entry) => entry.marker === "revoked")) return "revoked";
  if (same.some((entry) => entry.marker === "key")) return "known";
  return known.some((entry) => entry.marker === "key" && entry.exact) ? "changed" : "unknown";
}

/** In our order of preference. SHA-1 signatures (`ssh-rsa`) are left out, as in OpenSSH. */
const algorithms: readonly ServerHostKeyAlgorithm[] = [
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "rsa-sha2-512",
  "rsa-sha2-256",
];

/**
 * The host key algorithms to ask for: first those of which known_hosts has a key, since sshd proves only one. The
 * others follow, so that a host that has lost its known keys still shows one that can be named to the user.
 */
export function hostKeyAlgorithms(known: readonly KnownKey[]): ServerHostKeyAlgorithm[] {
  const types = new Set(known.filter((entry) => entry.marker === "key").map((entry) => entry.type));
  const isKnown = (algorithm: string): boolean =>
    types.has(algorithm.startsWith("rsa-sha2-") ? "ssh-rsa" : algorithm);
  return [...algorithms.filter(isKnown), ...algorithms.filter((algorithm) => !isKnown(algorithm))];
}

/** As `ssh-keygen -l` prints it: `SHA256:` and base64 without padding. */
export function fingerprint(key: Buffer): string {
  return `SHA256:${createHash("sha256").update(key).digest("base64").replace(/=+$/, "")}`;
}

/** Type and base64, as `FILE.pub` and known_hosts hold a key; its wire form begins with its type. */
export function publicKeyText(key: Buffer): string {
  const type = key.subarray(4, 4 + key.readUInt32BE(0)).toString("latin1");
  return `${type} ${key.toString("base64")}`;
}

/** `ED25519 SHA256:…`, for messages. */
export function describeKey(key: Buffer): string {
  const parsed = ssh2.utils.parseKey(key);
  const type = parsed instanceof Error ? "unknown type" : parsed.type;
  const name = type.startsWith("ecdsa-") ? "ECDSA" : type.replace(/^ssh-/, "").toUpperCase();
  return `${name} ${fingerprint(key)}`;
}

/** Whose key it was, and what to do about it. */
export interface HostKeySubject {
  /** The name searched for in known_hosts, e.g. `[raspberrypi.local]:2222`. */
  readonly name: string;
  /** Where it was seen, e.g. `192.168.1.20`. */
  readonly address: string;
  /** The command that has the user confirm its key. */
  readonly trustCommand: string;
  readonly files: readonly string[];
}

/** `trustCommand` is what a person runs to confirm the key. */
export function hostKeySubject(
  trustCommand: string,
  settings: Pick<SshSettings, "hostname" | "hostKeyAlias" | "knownHostsFiles">,
  { address, port }: { readonly address: string; readonly port: number },
): HostKeySubject {
  return {
    name: knownHostsNames(settings, port).exact,
    address,
    trustCommand,
    files: settings.knownHostsFiles,
  };
}

/** The error for every verdict but `known`: `host-key-unknown`, `host-key-changed` or `host-key-revoked`. */
export function hostKeyError(
  verdict: Exclude<HostKeyVerdict, "known">,
  key: Buffer,
  known: readonly KnownKey[],
  subject: HostKeySubject,
): TetherError {
  const seen = `${describeKey(key)} at ${subject.address}`;
  switch (verdict) {
    case "unknown": {
      const authority = known.some((entry) => entry.marker === "authority")
        ? " (known_hosts names a certificate authority for it, but host certificates are not supported)"
        : "";
      return new TetherError(
        "host-key-unknown",
        `no known_hosts file has the host key of ${subject.name}${authority}: ${seen}`,
        {
          remedy:
            `Run "${subject.trustCommand}" in a terminal and compare the fingerprint with the machine's own ` +
            `(there: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub, or the key of the type shown).`,
        },
      );
    }
    case "changed": {
      const types = known.filter((entry) => entry.marker === "key" && entry.exact).map((entry) => entry.type);
      return new TetherError(
        "host-key-changed",
        `the host key of ${subject.name} is not the one in known_hosts (${[...new Set(types)].join(", ")}): ${seen}`,
        {
          remedy:
            "On a network that is not yours another machine may use this name. If the machine was set up anew, " +
            `run ${removals(subject)} and then "${subject.trustCommand}".`,
        },
      );
    }
    case "revoked":
      return new TetherError(
        "host-key-revoked",
        `the host key of ${subject.name} is marked as revoked: ${seen}`,
        {
          remedy: "Give the machine a new host key; a revoked one must not be trusted again.",
        },
      );
  }
}

function removals(subject: HostKeySubject): string {
  const file = subject.files[0];
  return `"ssh-keygen -R '${subject.name}'${file === undefined ? "" : ` -f ${file}`}"`;
}
