// Connects to a machine that holds a Nix store: logged in, with a nix-daemon that answers.

import { Channels } from "./channels.js";
import type { Dialled } from "./dial.js";
import { FileChannels } from "./file-channels.js";
import { holdSession } from "./lifeline.js";
import type { SshLink } from "./link.js";
import { logIn, loginName, type LoginArgs } from "./login.js";
import { probe } from "./probe.js";
import type { Session } from "./session.js";
import { openSftp } from "./sftp-channel.js";
import type { LinkConfig } from "./ssh-config.js";
import { chooseTransport, type Handshake } from "./transport.js";

export interface ConnectArgs extends Omit<LoginArgs, "trustCommand"> {
  readonly config: LinkConfig;
  readonly handshake: Handshake;
}

/** Rejects as `logIn`, with `daemon-unreachable`, or with the signal's reason. */
export function connectLink(args: ConnectArgs): Promise<SshLink> {
  const trustCommand = `nix-tether trust ${args.config.cache}`;
  return logIn({ ...args, trustCommand }, (session, dialled) => establish(session, dialled, args));
}

/** Finds the way to the nix-daemon and makes the session into a link. */
async function establish(session: Session, dialled: Dialled, args: ConnectArgs): Promise<SshLink> {
  const { client, socket, cipher, hostKey } = session;
  const { config, handshake } = args;
  const login = loginName(args);
  const channels = new Channels(client, config.remoteSocket);
  const files = new FileChannels((onEnd) => openSftp(client, login, onEnd));
  const line = holdSession(session, login, (reason) => {
    channels.end(reason);
    files.end(reason);
  });
  const { transport, daemon } = await line.establish(args.signal, async () => {
    const reached = await chooseTransport(config, channels, handshake, login);
    if (reached.transport === "socket") void channels.nudge();
    return reached;
  });
  const openDaemon = (): ReturnType<SshLink["openDaemon"]> => channels.open(transport);
  return {
    address: dialled.address,
    port: dialled.port,
    localAddress: socket.localAddress ?? "",
    transport,
    cipher,
    hostKey,
    daemon,
    openDaemon,
    exec: (command) => channels.exec(command),
    openFiles: () => files.open(),
    database: transport === "socket" ? databaseOf(config.remoteSocket) : null,
    openTcp: (host, port) => channels.openTcp(host, port),
    probe: (ms) => probe({ openDaemon, handshake, bytesRead: () => socket.bytesRead }, ms),
    closed: line.closed,
    close: line.close,
  };
}

/** A nix-daemon listens in its state folder, if nobody has told it otherwise. */
function databaseOf(socket: string): string | null {
  const [, folder = null] = /^(\/.+)\/daemon-socket\/socket$/.exec(socket) ?? [];
  return folder === null ? null : `${folder}/db/db.sqlite`;
}
