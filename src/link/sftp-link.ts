// Connects to a machine for its files: logged in as any link is, with sshd's SFTP, and no nix-daemon.

import { TetherError } from "../util/errors.js";
import { holdSession } from "./lifeline.js";
import { logIn, loginName, type LoginArgs } from "./login.js";
import type { Session } from "./session.js";
import { openSftp, type SftpChannel } from "./sftp-channel.js";
import type { HostConfig } from "./ssh-config.js";

export type SftpArgs = Omit<LoginArgs, "trustCommand" | "config"> & { readonly config: HostConfig };

/** A live, authenticated SSH connection with SFTP. */
export interface SftpLink {
  /** The channel that has least to do. Each has a server of its own on that machine, and a file belongs to one. */
  channel(): SftpChannel;
  /** What our bytes are encrypted with, as SSH names it. */
  readonly cipher: string;
  /** The fingerprint of the machine's host key. */
  readonly hostKey: string;
  /** Settles once, with the reason, when the connection has ended for whatever cause. Never rejects. */
  readonly closed: Promise<Error>;
  /** Ends the connection at once. Idempotent. */
  close(): void;
}

// So that one file can be flushed while others are written. sshd allows ten sessions as a rule (MaxSessions).
const CHANNELS = 4;

/** Rejects as `logIn`, with `sftp-unavailable`, or with the signal's reason. */
export function connectSftp(args: SftpArgs): Promise<SftpLink> {
  const { user, port, host } = args.config;
  const login = `${user === undefined ? "" : `${user}@`}${host}`;
  const trustCommand = `ssh ${port === undefined ? "" : `-p ${port} `}${login}`;
  return logIn({ ...args, trustCommand }, (session) => establish(session, args));
}

async function establish(session: Session, args: SftpArgs): Promise<SftpLink> {
  const login = loginName(args);
  const channels: SftpChannel[] = [];
  const line = holdSession(session, login, (reason) => {
    for (const channel of channels) channel.end(reason);
  });
  const open = async (): Promise<void> => {
    const channel = await openSftp(session.client, login, (why) => line.lost(why));
    channels.push(channel);
    // The link may have ended in the same breath.
    const reason = line.reason();
    if (reason !== null) channel.end(reason);
  };
  await line.establish(args.signal, async () => {
    await open();
    // Fewer will do where no more are allowed.
    await Promise.allSettled(Array.from({ length: CHANNELS - 1 }, open));
  });
  return {
    cipher: session.cipher,
    hostKey: session.hostKey,
    channel: () => {
      const [first, ...others] = channels;
      if (first === undefined) throw new TetherError("sftp-unavailable", `${login} serves no files`);
      return others.reduce((best, one) => (one.waiting < best.waiting ? one : best), first);
    },
    closed: line.closed,
    close: line.close,
  };
}
