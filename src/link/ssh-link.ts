// Connects to a machine: the fastest of its addresses that proves to be it, logged in, with a nix-daemon that answers.

import type { Logger } from "pino";
import { TetherError } from "../util/errors.js";
import { brief } from "./brief.js";
import { Channels } from "./channels.js";
import { dial, type Dialled, type DialFailure } from "./dial.js";
import { hostKeySubject } from "./host-key.js";
import { gatherIdentities } from "./identities.js";
import { findKnownKeys } from "./known-hosts.js";
import type { Endpoint, SshLink } from "./link.js";
import { watchLiveness } from "./liveness.js";
import { probe } from "./probe.js";
import { openSession, SessionError, type Session } from "./session.js";
import type { LinkConfig, SshSettings } from "./ssh-config.js";
import { chooseTransport, type Handshake } from "./transport.js";

export interface ConnectArgs {
  readonly config: LinkConfig;
  readonly settings: SshSettings;
  /** Where discovery has seen the machine. All are tried at once. */
  readonly endpoints: readonly Endpoint[];
  /** Calls the attempt off. Has no effect on a link that stands. */
  readonly signal: AbortSignal;
  readonly log: Logger;
  readonly env: NodeJS.ProcessEnv;
  readonly handshake: Handshake;
  /** Told when sshd has let us in, whatever becomes of the nix-daemon then. */
  readonly onLogin?: (login: Login) => void;
}

/** A login that sshd has accepted. */
export interface Login {
  readonly address: string;
  readonly port: number;
  /** Names the key: its fingerprint, and its comment or file. */
  readonly key: string;
}

/**
 * Rejects with a TetherError: `unreachable`, `ssh-timeout`, `ssh-failed`, `host-key-unknown`, `host-key-changed`,
 * `host-key-revoked`, `agent-…`, `key-encrypted`, `identity-missing`, `no-identity`, `auth-failed`,
 * `daemon-unreachable`, `ssh-keygen-missing`; or with the signal's reason.
 */
export async function connectLink(args: ConnectArgs): Promise<SshLink> {
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
    let session: Session | null = null;
    try {
      const keys = (await known.get(dialled.port)) ?? [];
      session = await openSession(dialled, {
        ...subjectOf(args, dialled),
        ...(await identities),
        user: settings.user,
        known: keys,
        signal,
      });
      const { address, port } = dialled;
      args.onLogin?.({ address, port, key: session.key });
      return await establish(session, dialled, args);
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

/** An explicit port beats that of an SRV record. */
export function portFor(settings: SshSettings, endpoint: Endpoint): number {
  return settings.portIsExplicit ? settings.port : (endpoint.port ?? settings.port);
}

/** The names that messages use. */
function subjectOf(args: ConnectArgs, { address, port }: Dialled) {
  const { config, settings } = args;
  const login = `${settings.user}@${config.host}`;
  return { login, subject: hostKeySubject(config, settings, { address, port }) };
}

/** Finds the way to the nix-daemon and makes the session into a link. */
async function establish(session: Session, dialled: Dialled, args: ConnectArgs): Promise<SshLink> {
  const { client, socket } = session;
  const { config, signal } = args;
  const { login } = subjectOf(args, dialled);
  const channels = new Channels(client, config.remoteSocket);
  let reason: Error | null = null;
  const end = (why: Error): void => {
    reason ??= why;
    stopWatching();
    channels.end(reason);
    socket.destroy();
  };
  const lost = (why: string): void => end(new TetherError("link-lost", `the link to ${login} ended: ${why}`));
  const stopWatching = watchLiveness(socket, () => lost("it no longer answers"));
  client.on("error", (error) => lost(brief(error.message)));
  // Without this a half-closed socket would wait for what it still has to send.
  socket.on("end", () => lost("it closed the connection"));
  const closed = new Promise<Error>((resolve) => {
    const onClose = (): void => {
      lost("the connection closed");
      resolve(reason ?? new Error("closed"));
    };
    if (socket.closed) onClose();
    else socket.on("close", onClose);
  });
  const onAbort = (): void => end(signal.reason as Error);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    signal.throwIfAborted();
    const { transport, daemon } = await Promise.race([
      chooseTransport(config, channels, args.handshake, login),
      closed.then((why) => Promise.reject(why)),
    ]);
    if (transport === "socket") await channels.nudge();
    if (reason !== null) throw reason as Error;
    const openDaemon = (): ReturnType<SshLink["openDaemon"]> => channels.open(transport);
    return {
      address: dialled.address,
      port: dialled.port,
      localAddress: socket.localAddress ?? "",
      transport,
      daemon,
      openDaemon,
      exec: (command) => channels.exec(command),
      probe: (ms) => probe({ openDaemon, handshake: args.handshake, bytesRead: () => socket.bytesRead }, ms),
      closed,
      close: () => {
        // Tells sshd goodbye; `destroy` follows because `end` alone waits for a dead peer.
        if (reason === null) client.end();
        end(new TetherError("link-closed", `the link to ${login} was closed here`));
      },
    };
  } catch (error) {
    end(error as Error);
    throw reason ?? error;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
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
