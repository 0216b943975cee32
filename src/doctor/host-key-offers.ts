// Which host keys a cache's machine shows that a person could confirm, and what becomes of one that was confirmed.

import { addKnownHost } from "../link/add-known-host.js";
import { describeKey, fingerprint, hostKeyError, hostKeySubject } from "../link/host-key.js";
import { knownHostsNames } from "../link/known-hosts.js";
import { askForHostKeys, hostKeyKinds, type ShownKey, type ShownKeys } from "../link/shown-keys.js";
import { unreachable } from "../link/login.js";
import { TetherError } from "../util/errors.js";
import type { Machine } from "./machine.js";

/** A key that nothing is known of. */
export interface HostKeyOffer {
  /** In wire form. */
  readonly key: Buffer;
  /** As `ssh-keygen -l` prints it. */
  readonly fingerprint: string;
  /** `ED25519 SHA256:…`. */
  readonly described: string;
  /** The name that it will be known by, e.g. `[pi.local]:2222`. */
  readonly name: string;
  readonly port: number;
  /** Where it was seen; several addresses are usually of one machine. */
  readonly addresses: readonly string[];
}

/** A key that is known already, in words, or those that could become known: more than one where strangers answer. */
export type HostKeyOffers =
  | { readonly known: string; readonly offers: readonly [] }
  | { readonly known: null; readonly offers: readonly HostKeyOffer[] };

/**
 * Rejects with `absent`, `unreachable` or `ssh-failed` where no machine shows a key, with `host-key-changed` where another
 * key is known under this name, and with `host-key-revoked`.
 */
export async function findHostKeyOffers(machine: Machine, signal: AbortSignal): Promise<HostKeyOffers> {
  const settings = await machine.settings(signal);
  const answers = await machine.keys(signal);
  const { shown } = answers;
  if (shown.length === 0) throw noKey(machine, answers);
  const known = shown.find(({ verdict }) => verdict === "known");
  if (known !== undefined) return { known: describeKey(known.key), offers: [] };
  // Under a name that is known a new key is never taken in: what is there must be removed first.
  for (const verdict of ["revoked", "changed"] as const) {
    const wrong = shown.find((one) => one.verdict === verdict);
    if (wrong === undefined) continue;
    const subject = hostKeySubject(`nix-tether trust ${machine.name}`, settings, wrong);
    throw hostKeyError(verdict, wrong.key, wrong.known, subject);
  }
  return { known: null, offers: offersOf(shown, settings) };
}

/** The offer with this fingerprint, of whichever kind of key; null where no machine shows it. */
export async function findExpectedOffer(
  machine: Machine,
  offers: readonly HostKeyOffer[],
  expected: string,
  deps: { readonly env: NodeJS.ProcessEnv; readonly signal: AbortSignal },
): Promise<HostKeyOffer | null> {
  const fits = (one: HostKeyOffer): boolean => one.fingerprint === expected;
  const first = offers.find(fits);
  if (first !== undefined) return first;
  const settings = await machine.settings(deps.signal);
  const endpoints = machine.everybody();
  for (const kind of hostKeyKinds) {
    const { shown } = await askForHostKeys({ settings, endpoints, kind, ...deps });
    const usable = shown.filter(({ verdict }) => verdict === "unknown");
    const found = offersOf(usable, settings).find(fits);
    if (found !== undefined) return found;
  }
  return null;
}

/** Resolves to the file that it was added to. */
export async function acceptHostKey(
  machine: Machine,
  { key, port }: HostKeyOffer,
  signal: AbortSignal,
): Promise<string> {
  return addKnownHost(await machine.settings(signal), port, key);
}

function offersOf(
  shown: readonly ShownKey[],
  settings: Parameters<typeof knownHostsNames>[0],
): HostKeyOffer[] {
  const byKey = new Map<string, HostKeyOffer>();
  for (const { key, port, address } of shown) {
    const id = `${key.toString("base64")} ${port}`;
    const before = byKey.get(id)?.addresses ?? [];
    byKey.set(id, {
      key,
      fingerprint: fingerprint(key),
      described: describeKey(key),
      name: knownHostsNames(settings, port).exact,
      port,
      addresses: [...before, address],
    });
  }
  return [...byKey.values()];
}

/** Why nobody has shown a key. */
export function noKey({ config }: Pick<Machine, "config">, { mute, silent }: ShownKeys): TetherError {
  if (mute.length === 0) return unreachable(config.host, silent);
  const texts = mute.map(({ address, port, why }) => `${address} port ${port}: ${why}`);
  const text = `${config.host} accepts connections but shows no host key (${texts.join("; ")})`;
  return new TetherError("ssh-failed", text, { remedy: "Check that it is sshd that listens there." });
}
