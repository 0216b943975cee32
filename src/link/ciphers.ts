// Which cipher is asked for first: AES where both machines have instructions for it, ChaCha20 where one has not, for there it is
// several times as fast. What ssh_config says wins.

import { getCiphers } from "node:crypto";
import type { CipherAlgorithm } from "ssh2";

/** Names of ciphers, in the order in which they are asked for. */
export type Ciphers = readonly CipherAlgorithm[];

/** By SSH's name what OpenSSL calls it. In our order for machines with AES instructions; the rest only where ssh_config names it. */
const ours = new Map<CipherAlgorithm, string>([
  ["aes128-gcm@openssh.com", "aes-128-gcm"],
  ["aes256-gcm@openssh.com", "aes-256-gcm"],
  ["chacha20-poly1305@openssh.com", "chacha20"],
  ["aes128-ctr", "aes-128-ctr"],
  ["aes192-ctr", "aes-192-ctr"],
  ["aes256-ctr", "aes-256-ctr"],
]);
const others = new Map<CipherAlgorithm, string>([
  ["aes128-cbc", "aes-128-cbc"],
  ["aes192-cbc", "aes-192-cbc"],
  ["aes256-cbc", "aes-256-cbc"],
  ["3des-cbc", "des-ede3-cbc"],
]);
const withoutAes: CipherAlgorithm = "chacha20-poly1305@openssh.com";

/** What `ssh -G` prints where nobody has chosen: OpenSSH 6.7 to 9.9, and since 10.0. */
const defaultsOfOpenSsh: readonly string[] = [
  "chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr,aes128-gcm@openssh.com,aes256-gcm@openssh.com",
  "chacha20-poly1305@openssh.com,aes128-gcm@openssh.com,aes256-gcm@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr",
];

/** What somebody has chosen in ssh_config, as far as it can be used here, perhaps nothing; null where nobody has. */
export function configuredCiphers(ciphers: string | null): Ciphers | null {
  if (ciphers === null || defaultsOfOpenSsh.includes(ciphers)) return null;
  const usable = usableOf(new Map([...ours, ...others]));
  return ciphers.split(",").flatMap((name) => usable.find((one) => one === name) ?? []);
}

/** Whether a machine has instructions for AES; null where that is not known. */
export type HasAes = boolean | null;

/** The order in which ciphers are asked for. A machine of which nothing is known is taken to have the instructions. */
export function cipherOrder(ends: {
  readonly configured: Ciphers | null;
  readonly here: HasAes;
  readonly there: HasAes;
}): Ciphers {
  if (ends.configured !== null) return ends.configured;
  const usable = usableOf(ours);
  if (ends.here !== false && ends.there !== false) return usable;
  return usable.toSorted((a, b) => Number(b === withoutAes) - Number(a === withoutAes));
}

/** Reads it off /proc/cpuinfo, of which the beginning will do: x86 has `flags`, ARM `Features`, other processors neither. */
export function aesIn(cpuinfo: string): HasAes {
  const features = /^(?:flags|Features)\s*:(.*)\n/m.exec(cpuinfo)?.[1];
  return features === undefined ? null : /\baes\b/.test(features);
}

function usableOf(ciphers: ReadonlyMap<CipherAlgorithm, string>): CipherAlgorithm[] {
  const known = new Set(getCiphers());
  return [...ciphers].flatMap(([name, openssl]) => (known.has(openssl) ? [name] : []));
}
