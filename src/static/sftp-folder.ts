// A static cache in a folder of another machine, by SFTP.

import path from "node:path";
import { Readable } from "node:stream";
import type { RemoteFacts } from "../link/link.js";
import { SftpError, type SftpChannel } from "../link/sftp-channel.js";
import type { SftpLink } from "../link/sftp-link.js";
import { leaving } from "../util/abort.js";
import { TetherError } from "../util/errors.js";
import { createLimit } from "../util/limit.js";
import type { CacheFolder, Check, FolderEntry } from "./cache-folder.js";
import { sftpFailure } from "./sftp-failure.js";
import { putBySftp } from "./sftp-put.js";

/** At once, in all: each may hold an open file there, and a server has room for some hundred. */
const mostAtOnce = 96;

/** Read ahead of whoever reads a file, in pieces of so many bytes. */
const readBytes = 128 * 1024;
const readDepth = 8;

/** How long what is called off has to tidy up, in milliseconds. */
const leaveMs = 2_000;

/** `folder` is an absolute path there; it need not be there yet. Takes the link over. */
export function createSftpFolder(link: SftpLink, folder: string, label: string): CacheFolder {
  const at = (name: string): string => path.posix.join(folder, name);
  const limit = createLimit(mostAtOnce);

  /** One piece of work on one channel, with its failure told in our words. */
  const must = <T>(
    what: string,
    signal: AbortSignal,
    work: (channel: SftpChannel) => Promise<T>,
    check?: Check,
  ): Promise<T> =>
    limit(async () => {
      signal.throwIfAborted();
      check?.();
      const channel = link.channel();
      try {
        return await leaving(work(channel), signal, leaveMs);
      } catch (error) {
        signal.throwIfAborted();
        throw await sftpFailure(error, { what, label, space: () => channel.space(folder) });
      }
    });
  /** `null` in place of what there is none of. */
  const attempt = <T>(
    what: string,
    signal: AbortSignal,
    work: (channel: SftpChannel) => Promise<T>,
    check?: Check,
  ): Promise<T | null> => must(what, signal, (channel) => work(channel).catch(nullIfMissing), check);

  const entryOf = (name: string, facts: RemoteFacts): FolderEntry => ({
    name: path.posix.basename(name),
    kind: facts.kind === "link" ? "other" : facts.kind,
    size: facts.size,
    modifiedAt: facts.modifiedAt,
  });
  const stat: CacheFolder["stat"] = (name, signal) =>
    attempt(`look at ${at(name)}`, signal, async (channel) => entryOf(name, await channel.stat(at(name))));

  return {
    label,
    list: async (name, signal) => {
      const entries = await attempt(`list ${at(name)}`, signal, (channel) => channel.list(at(name)));
      const found = (entries ?? []).map(async (one) =>
        one.kind === "link" ? stat(path.posix.join(name, one.name), signal) : entryOf(one.name, one),
      );
      return (await Promise.all(found)).filter((one) => one !== null);
    },
    stat,
    read: (name, maxBytes, signal) =>
      attempt(`read ${at(name)}`, signal, (channel) =>
        withFile(channel, at(name), async (handle) => {
          const { size } = await channel.factsOf(handle);
          if (size > maxBytes)
            throw new Error(`it has ${size} bytes, more than the ${maxBytes} that it may have`);
          return readWhole(channel, handle, 0, size);
        }),
      ),
    openRead: (name, signal) => {
      const bytes = async function* (): AsyncGenerator<Buffer> {
        const channel = link.channel();
        const what = `read ${at(name)}`;
        try {
          const handle = await channel.open(at(name), "read");
          try {
            for await (const piece of pieces(channel, handle)) {
              signal.throwIfAborted();
              yield piece;
            }
          } finally {
            channel.close(handle).catch(() => undefined);
          }
        } catch (error) {
          throw await sftpFailure(error, { what, label, space: async () => null });
        }
      };
      return Readable.from(bytes(), { objectMode: false, signal });
    },
    put: (name, content, options) =>
      must(
        `write ${at(name)}`,
        options.signal,
        (channel) =>
          putBySftp(channel, at(name), content, options, (error) =>
            sftpFailure(error, {
              what: `write ${at(name)}`,
              label,
              space: () => channel.space(path.posix.dirname(at(name))),
            }),
          ),
        options.check,
      ),
    create: (name, content, signal) =>
      must(`make ${at(name)}`, signal, async (channel) => {
        let handle: Buffer;
        try {
          handle = await channel.open(at(name), "make-new");
        } catch (error) {
          // What is there already is a failure like any other in this version of SFTP.
          if (await channel.stat(at(name)).catch(() => null)) return false;
          throw error;
        }
        try {
          try {
            await Promise.all([channel.write(handle, content, 0), channel.setMode(handle, 0o644)]);
          } finally {
            await channel.close(handle);
          }
        } catch (error) {
          const space = (): ReturnType<SftpChannel["space"]> => channel.space(folder);
          const failure = await sftpFailure(error, { what: `make ${at(name)}`, label, space });
          if (failure instanceof TetherError && failure.code === "cache-full") return true;
          await channel.remove(at(name)).catch(() => undefined);
          throw failure;
        }
        return true;
      }),
    remove: async (name, signal, check) => {
      const remove = async (channel: SftpChannel): Promise<true> => {
        await channel.remove(at(name));
        return true;
      };
      return (await attempt(`remove ${at(name)}`, signal, remove, check)) ?? false;
    },
    touch: (name, moment, signal, check) =>
      must(`set the time of ${at(name)}`, signal, (channel) => channel.setTime(at(name), moment), check),
    makeFolder: (name, signal) =>
      must(`make the folder ${at(name)}`, signal, (channel) => makeFolders(channel, at(name))),
    close: () => link.close(),
  };
}

function nullIfMissing(error: unknown): null {
  if (error instanceof SftpError && error.status === "missing") return null;
  throw error;
}

async function withFile<T>(
  channel: SftpChannel,
  file: string,
  use: (handle: Buffer) => Promise<T>,
): Promise<T> {
  const handle = await channel.open(file, "read");
  try {
    return await use(handle);
  } finally {
    channel.close(handle).catch(() => undefined);
  }
}

/** A file from its beginning to its end; several reads are under way while one is waited for. */
async function* pieces(channel: SftpChannel, handle: Buffer): AsyncGenerator<Buffer> {
  const { size } = await channel.factsOf(handle);
  const ahead: Promise<Buffer>[] = [];
  let asked = 0;
  const askOn = (): void => {
    while (ahead.length < readDepth && asked < size) {
      const piece = readWhole(channel, handle, asked, Math.min(readBytes, size - asked));
      // It is waited for later, or no more.
      piece.catch(() => undefined);
      ahead.push(piece);
      asked += readBytes;
    }
  };
  for (askOn(); ahead.length > 0; askOn()) {
    const piece = await ahead.shift();
    if (piece !== undefined) yield piece;
  }
}

/** A server may give less than it is asked for. */
async function readWhole(
  channel: SftpChannel,
  handle: Buffer,
  position: number,
  length: number,
): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let have = 0; have < length;) {
    const part = await channel.read(handle, position + have, length - have);
    if (part.length === 0) throw new Error("it became shorter while it was read");
    parts.push(part);
    have += part.length;
  }
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
}

async function makeFolders(channel: SftpChannel, folder: string): Promise<void> {
  const isFolder = async (): Promise<boolean> =>
    (await channel.stat(folder).catch(nullIfMissing))?.kind === "folder";
  if (await isFolder()) return;
  const above = path.posix.dirname(folder);
  if (above !== folder) await makeFolders(channel, above);
  try {
    await channel.makeFolder(folder, 0o755);
  } catch (error) {
    // Somebody else may have made it.
    if (!(await isFolder())) throw error;
  }
}
