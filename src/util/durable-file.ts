// Files that are whole or not there, also after a power cut, and reads that no file can make endless.

import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import path from "node:path";

/** Names that begin so are unfinished work of `replaceFile`; what is left after a crash can be removed. */
export const temporaryPrefix = ".tmp-";

/**
 * Writes `content` beside `file`, flushes it to disk and renames it into place; what was there before stays until then, and
 * a link is replaced, not followed. Several may write at once: the last one's content stays. That the new name lasts is
 * certain after `flushFolder` only, which does for many files at once. `mode` is 0600 unless given. Not to flush is quick
 * also while the disk is busy, which else takes seconds; a power cut may then leave the old content, or none at all.
 */
export async function replaceFile(
  file: string,
  content: string,
  { mode = 0o600, flush = true }: { readonly mode?: number; readonly flush?: boolean } = {},
): Promise<void> {
  const name = `${temporaryPrefix}${randomBytes(6).toString("hex")}`;
  const temporary = path.join(path.dirname(file), name);
  try {
    const handle = await open(temporary, "wx", mode);
    try {
      await handle.writeFile(content);
      if (flush) await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  }
}

/** Makes the names in a folder, and those that are gone from it, last. */
export async function flushFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } catch {
    // Some file systems have no way to flush a folder; what could be done was done.
  } finally {
    await handle.close();
  }
}

/**
 * A regular file's text. Rejects where it is anything else (a link, a named pipe), larger than `maxBytes`, or no UTF-8,
 * in words that say so.
 */
export async function readBounded(file: string, maxBytes: number): Promise<string> {
  // Opening a named pipe would wait for its writer, and a link could lead anywhere.
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const info = await handle.stat();
    if (!info.isFile()) throw new Error("it is not a regular file");
    if (info.size > maxBytes) throw new Error(`it is larger than ${maxBytes} bytes`);
    const buffer = Buffer.alloc(info.size + 1);
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length);
      if (bytesRead === 0)
        return new TextDecoder("utf-8", { fatal: true }).decode(buffer.subarray(0, length));
      length += bytesRead;
    }
    throw new Error("it grows while it is read");
  } finally {
    await handle.close();
  }
}
