// What the rest of the program sees of an SSH connection to a machine that holds a Nix store.

import type { Duplex, Readable } from "node:stream";

/** Where a machine may answer. `address` carries a scope where it needs one (`fe80::1%eth0`). */
export interface Endpoint {
  readonly address: string;
  readonly family: 4 | 6;
  /** Set only where discovery learned the port (an SRV record). */
  readonly port?: number;
}

/** How bytes reach the remote nix-daemon: its socket by direct-streamlocal, or `nix-daemon --stdio` by exec. */
export type Transport = "socket" | "stdio";

/** What the worker-protocol handshake with the remote nix-daemon told. */
export interface DaemonInfo {
  /** e.g. 0x122 for 1.34: the lower of both sides' versions. */
  readonly protocol: number;
  /** The remote Nix's version, or null below protocol 1.33, which does not tell it. */
  readonly nixVersion: string | null;
  /** Whether the remote daemon trusts the login user; null where it does not say. */
  readonly trusted: boolean | null;
}

/** What a program on the machine writes to its stdout; it ends with the program. Destroying it closes the channel. */
export interface RemoteProgram extends Readable {
  /** Known when the stream has ended; null where a signal ended the program or the link was lost. */
  readonly exitCode: number | null;
  /** The end of what it has written to its stderr. */
  readonly stderrTail: string;
}

/** What is told of a file on the machine. */
export interface RemoteFacts {
  readonly kind: "file" | "folder" | "link" | "other";
  /** Bytes. */
  readonly size: number;
  /** In milliseconds since the epoch; whole seconds. */
  readonly modifiedAt: number;
}

/** The first bytes of a file on the machine. */
export interface RemoteHead {
  readonly bytes: Buffer;
  /** From the question for them to their last one, in milliseconds; it was opened before. */
  readonly tookMs: number;
}

/** The machine's files, by SFTP. What is asked rejects with an SftpError where sshd refuses, or when the link is gone. */
export interface RemoteFiles {
  /** Of what a link leads to. */
  stat(path: string): Promise<RemoteFacts>;
  /** Whether the path itself is a symbolic link. */
  isLink(path: string): Promise<boolean>;
  /** The first bytes of a file: so many, or fewer where it is shorter. */
  head(path: string, length: number): Promise<RemoteHead>;
  /** Ends the program that serves them. Idempotent. */
  close(): void;
}

/** A live, authenticated SSH connection whose far nix-daemon answered a handshake. */
export interface SshLink {
  readonly address: string;
  readonly port: number;
  /** The address of this machine that the connection uses; tells which interface it depends on. */
  readonly localAddress: string;
  readonly transport: Transport;
  /** What our bytes are encrypted with, as SSH names it. */
  readonly cipher: string;
  /** The fingerprint of the machine's host key. */
  readonly hostKey: string;
  readonly daemon: DaemonInfo;
  /** A fresh byte stream to the remote nix-daemon, before any handshake. Rejects when the link is gone. */
  openDaemon(): Promise<Duplex>;
  /**
   * Runs a command with nothing on its stdin, by way of the user's shell; a forced command runs in its place and is not
   * told apart. Takes one of sshd's sessions on this connection (MaxSessions, by default 10). Rejects when sshd refuses
   * or the link is gone.
   */
  exec(command: string): Promise<RemoteProgram>;
  /**
   * The machine's files as the user may see them. Takes one of sshd's sessions, as `exec` does. Rejects with code
   * `sftp-unavailable` where sshd serves none.
   */
  openFiles(): Promise<RemoteFiles>;
  /** Where the nix-daemon has its database, as far as the way to it tells; null where it does not. */
  readonly database: string | null;
  /**
   * A connection that the machine opens for us, by its own names and routes. Destroying it closes it; when the far end has
   * nothing more to say it is over. Rejects with code `channel-failed` when sshd or that server refuses, or when the link
   * is gone.
   */
  openTcp(host: string, port: number): Promise<Duplex>;
  /**
   * Whether the far nix-daemon answers a new handshake within `ms` milliseconds, or within three times that while the
   * link is busy. Never rejects.
   */
  probe(ms: number): Promise<boolean>;
  /** Settles once, with the reason, when the connection has ended for whatever cause. Never rejects. */
  readonly closed: Promise<Error>;
  /** Ends the connection at once; `closed` follows. Idempotent. */
  close(): void;
}
