// What this program needs of the folder that a static binary cache is: here, or on another machine.

import type { Readable } from "node:stream";

/** One entry of a folder. */
export interface FolderEntry {
  readonly name: string;
  readonly kind: "file" | "folder" | "other";
  /** Bytes. */
  readonly size: number;
  /** When its content was last changed, in milliseconds since the epoch; SFTP tells whole seconds. */
  readonly modifiedAt: number;
}

/** What is put: bytes, or a file of this machine. */
export type Content = Buffer | { readonly file: string };

/** Called just before something is done, each time it is tried; throws where it must not be done any more. */
export type Check = () => void;

export interface PutOptions {
  readonly signal: AbortSignal;
  readonly check?: Check | undefined;
  /** Told how many more bytes have arrived; less than none where they must be sent again. */
  readonly onBytes?: (bytes: number) => void;
  /**
   * The name tells the content, as a hash of it: what was sent before a cut need not be sent again. Not for a name that may
   * be put with another content.
   */
  readonly contentNamed?: boolean;
}

/**
 * The folder of a static binary cache. Names are relative, such as `nar/x.nar.xz`, and the caller's to check. Every call
 * rejects with a TetherError that says what could not be done where: `cache-unreachable` when the way there is cut,
 * `cache-full`, `cache-forbidden` (permissions, a read-only disk), else `cache-failed`; or with the signal's reason.
 */
export interface CacheFolder {
  /** For messages: the folder, or `user@host:folder`. */
  readonly label: string;
  /** What a folder holds, in any order; empty where there is no such folder. `""` is the cache's own. */
  list(folder: string, signal: AbortSignal): Promise<FolderEntry[]>;
  /** Null where there is no such file. */
  stat(name: string, signal: AbortSignal): Promise<FolderEntry | null>;
  /** A small file; null where there is none. Rejects where it is larger than `maxBytes`. */
  read(name: string, maxBytes: number, signal: AbortSignal): Promise<Buffer | null>;
  /** A file of any size. What goes wrong comes as the stream's error. */
  openRead(name: string, signal: AbortSignal): Readable;
  /** Makes or replaces a file: it is whole under its name at every moment. What is cut leaves nothing that is read. */
  put(name: string, content: Content, options: PutOptions): Promise<void>;
  /**
   * Makes a small file, unless there is one; whether it did. Of several at once one does. On a full disk it stays empty, or
   * holds only the beginning: it is there, and that is what it is for.
   */
  create(name: string, content: Buffer, signal: AbortSignal): Promise<boolean>;
  /** Whether there was such a file. */
  remove(name: string, signal: AbortSignal, check?: Check): Promise<boolean>;
  /** Makes a file count as changed at that moment, in milliseconds since the epoch. */
  touch(name: string, at: number, signal: AbortSignal, check?: Check): Promise<void>;
  /** Makes the folder, and those that it lies in, where they are missing. */
  makeFolder(name: string, signal: AbortSignal): Promise<void>;
  close(): void;
}
