// Writes one file by SFTP: under a temporary name, many writes under way at once, flushed, and then renamed.

import { open } from "node:fs/promises";
import path from "node:path";
import { SftpError, type SftpChannel } from "../link/sftp-channel.js";
import type { Content, PutOptions } from "./cache-folder.js";
import { randomTemporaryName, resumableTemporaryName } from "./cache-names.js";

/** Of one write. */
const pieceBytes = 128 * 1024;

/** Under way at once for one file: SSH's window is as large. */
const depth = 16;

/** After each so many bytes the server is to have them on its disk: when its power fails, a file keeps its length, with holes. */
const flushBytes = 16 * 1024 * 1024;

/** Smaller ones are sent again after a cut. */
const resumableBytes = 8 * 1024 * 1024;

/**
 * Of a file that was begun the last so many bytes are written again: what may not have been flushed, and more than can have
 * been under way when it was cut, so that a write which failed unheard is among them.
 */
const doubtfulBytes = flushBytes + 2 * depth * pieceBytes;

/** To be read from any place. */
interface Source {
  readonly size: number;
  read(position: number, length: number): Promise<Buffer>;
  close(): Promise<void>;
}

/** `file` is an absolute path there. Rejects with what `explain` makes of what has gone wrong, while it still shows. */
export async function putBySftp(
  channel: SftpChannel,
  file: string,
  content: Content,
  options: PutOptions,
  explain: (error: unknown) => Promise<unknown>,
): Promise<void> {
  const source = await sourceOf(content);
  const resumable = options.contentNamed === true && source.size > resumableBytes;
  const name = resumable ? resumableTemporaryName(path.posix.basename(file)) : randomTemporaryName();
  const temporary = path.posix.join(path.posix.dirname(file), name);
  try {
    await write(channel, temporary, source, { ...options, resumable });
    await channel.rename(temporary, file).catch(async (error: unknown) => {
      const isMissing = error instanceof SftpError && error.status === "missing";
      // Somebody else who wrote the same content under the same temporary name was quicker.
      const there = isMissing && resumable ? await channel.stat(file).catch(() => null) : null;
      if (there?.size !== source.size) throw error;
    });
  } catch (error) {
    const explained = await explain(error);
    // What was interrupted can be gone on with; what the server has refused a part of may have holes.
    if (!(resumable && (options.signal.aborted || !(error instanceof SftpError))))
      channel.remove(temporary).catch(() => undefined);
    throw explained;
  } finally {
    await source.close();
  }
}

async function write(
  channel: SftpChannel,
  temporary: string,
  source: Source,
  { signal, onBytes, resumable }: PutOptions & { readonly resumable: boolean },
): Promise<void> {
  let handle = await channel.open(temporary, resumable ? "go-on" : "make");
  let position = 0;
  if (resumable) {
    const { size } = await channel.factsOf(handle);
    const canFlush = size > doubtfulBytes && (await channel.flush(handle));
    if (size > source.size) {
      await channel.close(handle);
      handle = await channel.open(temporary, "make");
    } else if (canFlush) position = size - doubtfulBytes;
    onBytes?.(position);
  }
  let flushed = position;
  const underWay = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | null = null;
  const follow = (one: Promise<unknown>, then: () => void): void => {
    const settled = one.then(then, (error: unknown) => void (failure ??= { error }));
    underWay.add(settled);
    void settled.finally(() => underWay.delete(settled));
  };
  for (; position < source.size && failure === null && !signal.aborted;) {
    const piece = await source.read(position, Math.min(pieceBytes, source.size - position));
    follow(channel.write(handle, piece, position), () => onBytes?.(piece.length));
    position += piece.length;
    if (resumable && position - flushed >= flushBytes) {
      follow(channel.flush(handle), () => undefined);
      flushed = position;
    }
    if (underWay.size >= depth) await Promise.race(underWay);
  }
  // The server does one after the other, so these need not wait for the writes to be answered.
  follow(channel.setMode(handle, 0o644), () => undefined);
  if (!signal.aborted) follow(channel.flush(handle), () => undefined);
  follow(channel.close(handle), () => undefined);
  await Promise.all(underWay);
  signal.throwIfAborted();
  if (failure !== null) throw (failure as { error: unknown }).error;
}

async function sourceOf(content: Content): Promise<Source> {
  if (Buffer.isBuffer(content)) {
    return {
      size: content.length,
      read: async (position, length) => content.subarray(position, position + length),
      close: async () => undefined,
    };
  }
  const handle = await open(content.file, "r");
  const { size } = await handle.stat();
  return {
    size,
    read: async (position, length) => {
      const buffer = Buffer.allocUnsafe(length);
      const { bytesRead } = await handle.read(buffer, 0, length, position);
      if (bytesRead !== length) throw new Error(`${content.file} became shorter while it was sent`);
      return buffer;
    },
    close: () => handle.close(),
  };
}
