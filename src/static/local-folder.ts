// A static cache in a folder of this machine.

import { createReadStream } from "node:fs";
import {
  chmod,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  unlink,
  utimes,
  type FileHandle,
} from "node:fs/promises";
import path from "node:path";
import { Readable } from "node:stream";
import { TetherError, messageOf } from "../util/errors.js";
import { inPieces } from "../util/in-pieces.js";
import type { CacheFolder, Content, FolderEntry, PutOptions } from "./cache-folder.js";
import { randomTemporaryName } from "./cache-names.js";
import { folderError } from "./failures.js";

/** Of a large folder not everything is looked at at once. */
const mostLooks = 256;

const full = new Set(["ENOSPC", "EDQUOT"]);
const forbidden = new Set(["EACCES", "EPERM", "EROFS"]);

/** `folder` is an absolute path; it need not be there yet. */
export function createLocalFolder(folder: string): CacheFolder {
  const at = (name: string): string => path.join(folder, name);
  /** `null` in place of what there is none of. */
  const attempt = async <T>(what: string, work: () => Promise<T>): Promise<T | null> => {
    try {
      return await work();
    } catch (error) {
      if (codeOf(error) === "ENOENT") return null;
      throw failure(what, error);
    }
  };
  const must = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw failure(what, error);
    }
  };
  const entryOf = async (name: string): Promise<FolderEntry> => {
    const facts = await stat(at(name));
    const kind = facts.isFile() ? "file" : facts.isDirectory() ? "folder" : "other";
    return { name: path.basename(name), kind, size: facts.size, modifiedAt: facts.mtimeMs };
  };

  return {
    label: folder,
    list: async (name, signal) => {
      const entries = await attempt(`list ${at(name)}`, () => readdir(at(name), { withFileTypes: true }));
      const found: FolderEntry[] = [];
      for (const piece of inPieces(entries ?? [], mostLooks)) {
        signal.throwIfAborted();
        const facts = await Promise.all(
          piece.map((one) => attempt(`look at ${one.name}`, () => entryOf(path.join(name, one.name)))),
        );
        // What has been removed meanwhile is not there.
        found.push(...facts.filter((one) => one !== null));
      }
      return found;
    },
    stat: async (name, signal) => {
      signal.throwIfAborted();
      return attempt(`look at ${at(name)}`, () => entryOf(name));
    },
    read: async (name, maxBytes, signal) => {
      signal.throwIfAborted();
      return attempt(`read ${at(name)}`, async () => {
        const { size } = await stat(at(name));
        if (size > maxBytes)
          throw new Error(`it has ${size} bytes, more than the ${maxBytes} that it may have`);
        return readFile(at(name), { signal });
      });
    },
    openRead: (name, signal) => {
      const bytes = async function* (): AsyncGenerator<Buffer> {
        try {
          yield* createReadStream(at(name), { signal }) as AsyncIterable<Buffer>;
        } catch (error) {
          throw failure(`read ${at(name)}`, error);
        }
      };
      return Readable.from(bytes(), { objectMode: false, signal });
    },
    put: async (name, content, options) => {
      options.signal.throwIfAborted();
      options.check?.();
      const temporary = at(path.join(path.dirname(name), randomTemporaryName()));
      await must(`write ${at(name)}`, async () => {
        try {
          await writeFlushed(temporary, content, options);
          await rename(temporary, at(name));
        } catch (error) {
          await rm(temporary, { force: true }).catch(() => undefined);
          options.signal.throwIfAborted();
          throw error;
        }
      });
    },
    create: async (name, content, signal) => {
      signal.throwIfAborted();
      return must(`make ${at(name)}`, async () => {
        try {
          await writeNew(at(name), (handle) =>
            handle.writeFile(content).catch((error: unknown) => {
              if (!full.has(codeOf(error) ?? "")) throw error;
            }),
          );
          return true;
        } catch (error) {
          if (codeOf(error) === "EEXIST") return false;
          throw error;
        }
      });
    },
    remove: async (name, signal, check) => {
      signal.throwIfAborted();
      check?.();
      return (await attempt(`remove ${at(name)}`, async () => (await unlink(at(name)), true))) ?? false;
    },
    touch: async (name, moment, signal, check) => {
      signal.throwIfAborted();
      check?.();
      const time = new Date(moment);
      await must(`set the time of ${at(name)}`, () => utimes(at(name), time, time));
    },
    makeFolder: async (name, signal) => {
      signal.throwIfAborted();
      await must(`make the folder ${at(name)}`, async () => {
        const first = await mkdir(at(name), { recursive: true });
        if (first === undefined) return;
        for (let made = at(name); made.length >= first.length; made = path.dirname(made))
          await chmod(made, 0o755);
      });
    },
    close: () => undefined,
  };
}

function writeFlushed(file: string, content: Content, { signal, onBytes }: PutOptions): Promise<void> {
  return writeNew(file, async (handle) => {
    if (Buffer.isBuffer(content)) {
      await handle.writeFile(content, { signal });
      onBytes?.(content.length);
    } else {
      for await (const piece of createReadStream(content.file, { signal }) as AsyncIterable<Buffer>) {
        await handle.writeFile(piece);
        onBytes?.(piece.length);
      }
    }
    await handle.sync();
  });
}

/** Makes a file that others may read, as what serves the cache must, whatever the umask. None is left where that fails. */
async function writeNew(file: string, write: (handle: FileHandle) => Promise<void>): Promise<void> {
  const handle = await open(file, "wx", 0o644);
  try {
    try {
      await handle.chmod(0o644);
      await write(handle);
    } finally {
      await handle.close();
    }
  } catch (error) {
    await rm(file, { force: true }).catch(() => undefined);
    throw error;
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

/** The signal's reason, and what is told already, are passed on. */
function failure(what: string, error: unknown): unknown {
  if (error instanceof TetherError || (error as Error).name === "AbortError") return error;
  const message = `can not ${what}: ${messageOf(error)}`;
  const code = codeOf(error) ?? "";
  return folderError(full.has(code) ? "full" : forbidden.has(code) ? "forbidden" : "failed", message, error);
}
