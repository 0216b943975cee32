// Logs in to a machine: at the fastest of its addresses that proves to be it.

import type { Logger } from "pino";
import { TetherError } from "../util/errors.js";
import { dial, type Dialled, type DialFailure } from "./dial.js";
import { hostKeySubject } from "./host-key.js";
import { gatherIdentities } from "./identities.js";
import { findKnownKeys } from "./known-hosts.js";
import type { Endpoint } from "./link.js";
import { openSession, SessionError, type Session } from "./session.js";
import type { HostConfig, SshSettings } from "./ssh-config.js";

export interface LoginArgs {
  readonly config: Pick<HostConfig, "host">;
  readonly settings: SshSettings;
  /** Where discovery has seen the machine. All are tried at once. */
  readonly endpoints: readonly Endpoint[];
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
  const { settings, signal, log } = args;
  const identities = gatherIdentities(settings, args);
  const targets = args.endpoints.map((endpoint) => ({ endpoint, port: portFor(settings, endpoint) }));
  const ports = new Set(targets.map((target) => target.port));
  const known = new Map([...ports].map((port) => [port, findKnownKeys(settings, port, args)]));
  // They are awaited when an address has answered, which may be never.
  for (const promise of [identities, ...known.values()]) promise.catch(() => undefined);

  const silent: DialFailure[] = [];
  const refused: TetherError[] = [];
  for await (const dialled of dial(targets, { signal, onFailure: (failure) => silent.push(failure) })) {
    try {
      const { address, port } = dialled;
      const session = await openSession(dialled, {
        login: loginName(args),
        subject: hostKeySubject(args.trustCommand, settings, { address, port }),
        ...(await identities),
        user: settings.user,
        known: (await known.get(port)) ?? [],
        signal,
      });
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
