// One SFTP channel of a session, as promises that always settle: ssh2 forgets its callbacks where a channel dies. The
// protocol is draft-ietf-secsh-filexfer-02 (version 3) with OpenSSH's extensions (its PROTOCOL, section 4).

import type { Client, SFTPWrapper, Stats } from "ssh2";
import { TetherError, messageOf } from "../util/errors.js";
import { brief } from "./brief.js";
import type { RemoteFacts, RemoteHead } from "./link.js";

/** What a request has failed of. Servers tell most of it as `failure`: a full disk, a read-only one, what exists already. */
export type SftpStatus = "missing" | "forbidden" | "failure" | "unsupported";

/** The server's refusal of one request. */
export class SftpError extends Error {
  readonly status: SftpStatus;

  constructor(status: SftpStatus, message: string) {
    super(message);
    this.name = "SftpError";
    this.status = status;
  }
}

/** Of the file system below a path. */
export interface RemoteSpace {
  /** Bytes that are free for this user. */
  readonly free: number;
  /** Files that can be made. */
  readonly freeFiles: number;
  readonly readOnly: boolean;
}

/** `make`: an empty one in any case. `make-new`: only where there is none. `go-on`: what is in it stays. */
export type OpenMode = "read" | "make" | "make-new" | "go-on";

const READ = 0x01;
const WRITE = 0x02;
const CREATE = 0x08;
const TRUNCATE = 0x10;
const EXCLUSIVE = 0x20;
const flags: Record<OpenMode, number> = {
  read: READ,
  make: WRITE | CREATE | TRUNCATE,
  "make-new": WRITE | CREATE | EXCLUSIVE,
  "go-on": WRITE | CREATE,
};

const START_MS = 10_000;
// Disks spin up, and flush what was written to them; what takes longer than this hangs.
const ANSWER_MS = 5 * 60_000;
// Requests for a folder's next names that are under way at once; OpenSSH tells 100 in each.
const READDIR_DEPTH = 8;

const EOF = 1;
const statuses: Readonly<Record<number, SftpStatus>> = { 2: "missing", 3: "forbidden", 8: "unsupported" };

type Done<T> = (error: Error | null | undefined, value: T) => void;

/**
 * Asks sshd for its subsystem, and waits `startMs` milliseconds at most. Rejects with `sftp-unavailable`. `onEnd` is called
 * once, when the channel has ended.
 */
export function openSftp(
  client: Client,
  login: string,
  onEnd: (why: string) => void,
  startMs = START_MS,
): Promise<SftpChannel> {
  return new Promise((resolve, reject) => {
    let late = false;
    const fail = (why: string): void => {
      clearTimeout(timer);
      reject(
        new TetherError("sftp-unavailable", `sshd lets ${login} in, but serves no files: ${brief(why)}`, {
          remedy:
            "Its sshd_config needs the line `Subsystem sftp internal-sftp`, the login must be allowed to use it, and " +
            "what its shell runs at the start must print nothing.",
        }),
      );
    };
    const timer = setTimeout(() => {
      late = true;
      fail(`no answer within ${startMs / 1000} s`);
    }, startMs);
    try {
      client.sftp((error, sftp) => {
        if (error !== undefined) return fail(error.message);
        clearTimeout(timer);
        const channel = new SftpChannel(sftp, onEnd);
        if (late) channel.quit();
        else resolve(channel);
      });
    } catch (error) {
      fail(messageOf(error));
    }
  });
}

export class SftpChannel {
  readonly #sftp: SFTPWrapper;
  readonly #onEnd: (why: string) => void;
  readonly #pending = new Set<(reason: Error) => void>();
  #ended: Error | null = null;

  constructor(sftp: SFTPWrapper, onEnd: (why: string) => void) {
    this.#sftp = sftp;
    this.#onEnd = onEnd;
    sftp.on("error", (error: Error) => this.#lost(error.message));
    sftp.on("close", () => this.#lost("the SFTP server ended"));
  }

  /** How many requests wait for their answer. */
  get waiting(): number {
    return this.#pending.size;
  }

  open(path: string, mode: OpenMode): Promise<Buffer> {
    return this.#ask((done) => this.#sftp.open(path, flags[mode], { mode: 0o644 } as never, done as never));
  }

  close(handle: Buffer): Promise<void> {
    return this.#ask((done) => this.#sftp.close(handle, done as never));
  }

  /** All of `data`, from that place of the file on. */
  write(handle: Buffer, data: Buffer, position: number): Promise<void> {
    return this.#ask((done) => this.#sftp.write(handle, data, 0, data.length, position, done as never));
  }

  /** At most `length` bytes; fewer at the end of the file, where there are none any more an empty buffer. */
  read(handle: Buffer, position: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(length);
    return this.#ask<Buffer>((done) =>
      this.#sftp.read(handle, buffer, 0, length, position, (error, count) => {
        if (isEof(error)) done(null, Buffer.alloc(0));
        else done(error, buffer.subarray(0, count));
      }),
    );
  }

  /** The first bytes of a file: so many, or fewer where it is shorter. */
  async head(path: string, length: number): Promise<RemoteHead> {
    const handle = await this.open(path, "read");
    const began = performance.now();
    try {
      const bytes = await this.read(handle, 0, length);
      return { bytes, tookMs: performance.now() - began };
    } finally {
      this.close(handle).catch(() => undefined);
    }
  }

  factsOf(handle: Buffer): Promise<RemoteFacts> {
    return this.#ask<Stats>((done) => this.#sftp.fstat(handle, done)).then(factsOf);
  }

  /** Of what a link leads to. */
  stat(path: string): Promise<RemoteFacts> {
    return this.#ask<Stats>((done) => this.#sftp.stat(path, done)).then(factsOf);
  }

  /** Whether the path itself is a symbolic link. */
  isLink(path: string): Promise<boolean> {
    return this.#ask<Stats>((done) => this.#sftp.lstat(path, done)).then((stats) => stats.isSymbolicLink());
  }

  /** Every name in a folder, links as such. */
  async list(path: string): Promise<(RemoteFacts & { readonly name: string })[]> {
    const handle = await this.#ask<Buffer>((done) => this.#sftp.opendir(path, done));
    const found: (RemoteFacts & { readonly name: string })[] = [];
    const readSome = async (): Promise<void> => {
      for (;;) {
        const some = await this.#ask<{ filename: string; attrs: Stats }[]>((done) =>
          this.#sftp.readdir(handle, (error, list) => done(isEof(error) ? null : error, list ?? [])),
        );
        if (some.length === 0) return;
        for (const { filename, attrs } of some) found.push({ name: filename, ...factsOf(attrs) });
      }
    };
    try {
      await Promise.all(Array.from({ length: READDIR_DEPTH }, readSome));
    } finally {
      this.close(handle).catch(() => undefined);
    }
    return found.filter(({ name }) => name !== "." && name !== "..");
  }

  setMode(handle: Buffer, mode: number): Promise<void> {
    return this.#ask((done) => this.#sftp.fchmod(handle, mode, done as never));
  }

  /** What was written is on the disk then; false where the server can not see to that. */
  async flush(handle: Buffer): Promise<boolean> {
    const flushed = this.#ask<unknown>((done) => this.#sftp.ext_openssh_fsync(handle, done));
    return flushed.then(
      () => true,
      (error: unknown) => (unlessUnsupported(error), false),
    );
  }

  /** `at` is in milliseconds since the epoch. */
  setTime(path: string, at: number): Promise<void> {
    const seconds = Math.floor(at / 1000);
    return this.#ask((done) => this.#sftp.utimes(path, seconds, seconds, done as never));
  }

  /** Replaces what has the new name, where the server can; one that can not refuses to. */
  async rename(from: string, to: string): Promise<void> {
    try {
      await this.#ask<void>((done) => this.#sftp.ext_openssh_rename(from, to, done as never));
    } catch (error) {
      unlessUnsupported(error);
      await this.#ask<void>((done) => this.#sftp.rename(from, to, done as never));
    }
  }

  remove(path: string): Promise<void> {
    return this.#ask((done) => this.#sftp.unlink(path, done as never));
  }

  async makeFolder(path: string, mode: number): Promise<void> {
    await this.#ask<void>((done) => this.#sftp.mkdir(path, done as never));
    // The far umask may have taken rights away.
    await this.#ask<void>((done) => this.#sftp.chmod(path, mode, done as never));
  }

  /** Null where the server does not tell. */
  async space(path: string): Promise<RemoteSpace | null> {
    type Told = { f_bavail: number; f_frsize: number; f_favail: number; f_flag: number } | null;
    const told = await this.#ask<Told>((done) => this.#sftp.ext_openssh_statvfs(path, done)).catch(
      () => null,
    );
    if (told === null) return null;
    return {
      free: told.f_bavail * told.f_frsize,
      freeFiles: told.f_favail,
      readOnly: (told.f_flag & 1) !== 0,
    };
  }

  /** Settles what waits, with that reason; the channel itself ends with the session. Idempotent. */
  end(reason: Error): void {
    this.#ended ??= reason;
    for (const reject of this.#pending) reject(reason);
    this.#pending.clear();
  }

  /** Ends the server too, where the session goes on. Idempotent. */
  quit(): void {
    this.end(new TetherError("closed", "the SFTP channel was closed here"));
    this.#sftp.end();
  }

  #lost(why: string): void {
    if (this.#ended === null) this.#onEnd(why);
  }

  /** One request. ssh2 throws where the server lacks an extension. */
  #ask<T>(send: (done: Done<T>) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== null) return reject(this.#ended);
      const silent = (): void =>
        this.#lost(`the SFTP server has not answered for ${ANSWER_MS / 60_000} minutes`);
      const timer = setTimeout(silent, ANSWER_MS);
      const fail = (reason: Error): void => {
        clearTimeout(timer);
        reject(reason);
      };
      this.#pending.add(fail);
      try {
        send((error, value) => {
          // What has no answer any more ends with the channel, by its reason.
          if (!this.#pending.has(fail) || isUnanswered(error)) return;
          this.#pending.delete(fail);
          if (error) return fail(refusal(error));
          clearTimeout(timer);
          resolve(value);
        });
      } catch (error) {
        this.#pending.delete(fail);
        const unsupported = /not support this extended/.test(messageOf(error));
        fail(unsupported ? new SftpError("unsupported", messageOf(error)) : (error as Error));
      }
    });
  }
}

function codeOf(error: Error | null | undefined): unknown {
  return (error as { code?: unknown } | null | undefined)?.code;
}

function isEof(error: Error | null | undefined): boolean {
  return codeOf(error) === EOF;
}

/** ssh2's word where the channel has closed. */
function isUnanswered(error: Error | null | undefined): boolean {
  return error?.message === "No response from server" && codeOf(error) === undefined;
}

function refusal(error: Error): SftpError {
  return new SftpError(statuses[Number(codeOf(error))] ?? "failure", brief(error.message));
}

function unlessUnsupported(error: unknown): void {
  if (!(error instanceof SftpError) || error.status !== "unsupported") throw error;
}

function factsOf(stats: Stats): RemoteFacts {
  const kind = stats.isFile()
    ? "file"
    : stats.isDirectory()
      ? "folder"
      : stats.isSymbolicLink()
        ? "link"
        : "other";
  return { kind, size: stats.size, modifiedAt: stats.mtime * 1000 };
}
