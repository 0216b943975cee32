// Logs in to a machine: at the fastest of its addresses that proves to be it.

import type { Logger } from "pino";
import { TetherError } from "../util/errors.js";
import { cipherOrder, type Ciphers } from "./ciphers.js";
import { dial, type Dialled, type DialFailure, type DialTarget } from "./dial.js";
import { hostKeySubject } from "./host-key.js";
import { gatherIdentities } from "./identities.js";
import { searchByPort, type KnownKey, type KnownKeysAt } from "./known-hosts.js";
import type { Endpoint } from "./link.js";
import { aesHere } from "./processors.js";
import { openSession, SessionError, type Session } from "./session.js";
import type { HostConfig, SshSettings } from "./ssh-config.js";

export interface LoginArgs {
  readonly config: Pick<HostConfig, "host">;
  readonly settings: SshSettings;
  /** Where discovery has seen the machine. All are tried at once. */
  readonly endpoints: readonly Endpoint[];
  /** Where it was seen besides, when that is known. Must not reject. */
  readonly more?: Promise<readonly Endpoint[]> | undefined;
  /** What known_hosts says, where a search has begun already. */
  readonly knownKeys?: KnownKeysAt | undefined;
  /** The ciphers for a machine with one of these host keys; without it, as if nothing were known of the machine. */
  readonly ciphersFor?: ((known: readonly KnownKey[]) => Ciphers) | undefined;
  /** Calls the attempt off. Has no effect on what it has led to. */
  readonly signal: AbortSignal;
  readonly log: Logger;
  readonly env: NodeJS.ProcessEnv;
  /** What a message tells a person to run who is to confirm the machine's key. */
  readonly trustCommand: string;
  /** Told when sshd has let us in, whatever becomes of it then. */
  readonly onLogin?: ((login: Login) => void) | undefined;
}

/** A login that sshd has accepted. */
export interface Login {
  readonly address: string;
  readonly port: number;
  /** Names the key: its fingerprint, and its comment or file. */
  readonly key: string;
}

/**
 * Resolves to what `use` makes of the session, which takes it over; the session is closed where `use` rejects. Rejects with a
 * TetherError: `unreachable`, `ssh-timeout`, `ssh-failed`, `host-key-unknown`, `host-key-changed`, `host-key-revoked`,
 * `agent-…`, `key-encrypted`, `identity-missing`, `no-identity`, `auth-failed`, `ssh-keygen-missing`; as `use` does; or
 * with the signal's reason.
 */
export async function logIn<T>(
  args: LoginArgs,
  use: (session: Session, dialled: Dialled) => Promise<T>,
): Promise<T> {
  const { settings, signal, log, knownKeys = searchByPort(settings, args) } = args;
  const { ciphersFor = () => cipherOrder({ configured: settings.ciphers, here: aesHere(), there: null }) } =
    args;
  const identities = gatherIdentities(settings, args);
  // It is awaited when an address has answered, which may be never.
  identities.catch(() => undefined);
  const targetsAt = (endpoints: readonly Endpoint[]): DialTarget[] =>
    endpoints.map((endpoint) => {
      const port = portFor(settings, endpoint);
      void knownKeys(port);
      return { endpoint, port };
    });

  const silent: DialFailure[] = [];
  const refused: TetherError[] = [];
  const options = {
    signal,
    onFailure: (failure: DialFailure) => silent.push(failure),
    ...(args.more === undefined ? {} : { more: args.more.then(targetsAt) }),
  };
  for await (const dialled of dial(targetsAt(args.endpoints), options)) {
    try {
      const { address, port } = dialled;
      const known = await knownKeys(port);
      const session = await openSession(dialled, {
        login: loginName(args),
        subject: hostKeySubject(args.trustCommand, settings, { address, port }),
        identities,
        user: settings.user,
        known,
        ciphers: ciphersFor(known),
        signal,
      });
      log.debug({ address, port, cipher: session.cipher }, "logged in");
      args.onLogin?.({ address, port, key: session.key });
      return await use(session, dialled);
    } catch (error) {
      dialled.socket.destroy();
      signal.throwIfAborted();
      if (!(error instanceof SessionError)) throw error;
      if (error.final) throw error.reason;
      log.debug({ address: dialled.address, code: error.reason.code }, "address is not the machine");
      refused.push(error.reason);
    }
  }
  signal.throwIfAborted();
  throw gravest(refused) ?? unreachable(args.config.host, silent);
}

/** `user@host`, for messages. */
export function loginName({ config, settings }: Pick<LoginArgs, "config" | "settings">): string {
  return `${settings.user}@${config.host}`;
}

/** An explicit port beats that of an SRV record. */
export function portFor(settings: SshSettings, endpoint: Endpoint): number {
  return settings.portIsExplicit ? settings.port : (endpoint.port ?? settings.port);
}

/** Of several addresses that failed, the failure that says most: a stranger's key before a hung port. */
function gravest(errors: readonly TetherError[]): TetherError | undefined {
  const order = ["host-key-revoked", "host-key-changed", "host-key-unknown", "ssh-timeout", "ssh-failed"];
  return errors.toSorted((a, b) => order.indexOf(a.code) - order.indexOf(b.code))[0];
}

/** No address of the machine accepts a connection. */
export function unreachable(host: string, silent: readonly DialFailure[]): TetherError {
  const texts = silent.map(({ address, port, why }) => `${address} port ${port}: ${why}`);
  return new TetherError("unreachable", `${host} does not answer (${texts.join("; ")})`, {
    remedy: silent.some((failure) => failure.why === "ECONNREFUSED")
      ? "Check that sshd runs on that machine, and on this port."
      : "Check that the machine is switched on and that no firewall stands between.",
  });
}
