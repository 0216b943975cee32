// The entries on disk. What `save` has written is there after a crash and after a power cut, whole or as it was before.

import { rm } from "node:fs/promises";
import path from "node:path";
import { flushFolder, readBounded, replaceFile } from "../util/durable-file.js";
import { messageOf } from "../util/errors.js";
import { entryFileName, formatEntry, maxEntryBytes, parseEntry, type Entry } from "./entry.js";
import { listFolder, orUnwritable, type MoveAside } from "./spool-folders.js";

export interface EntryFiles {
  /** All that can be used; what can not is moved aside. Removes what a crash has left unfinished. */
  load(): Promise<Entry[]>;
  /** @throws TetherError `spool-unwritable`; any of the entries may be saved then. */
  save(entries: readonly Entry[]): Promise<void>;
  /** @throws TetherError `spool-unwritable`; any of them may be removed then. */
  remove(entries: readonly Entry[]): Promise<void>;
}

/** Files that are read or flushed at a time: enough to keep a disk busy, few enough for its other users. */
const atOnce = 8;

export function createEntryFiles(folder: string, moveAside: MoveAside): EntryFiles {
  const fileOf = (entry: Entry): string => path.join(folder, entryFileName(entry.path));

  const loadOne = async (name: string): Promise<Entry[]> => {
    const file = path.join(folder, name);
    try {
      return [parseEntry(name, await readBounded(file, maxEntryBytes))];
    } catch (error) {
      await moveAside(file, messageOf(error));
      return [];
    }
  };

  return {
    load: () =>
      orUnwritable(folder, async () => {
        const { finished, temporary } = await listFolder(folder);
        await inBatches(temporary, (name) => rm(path.join(folder, name), { force: true }));
        return (await inBatches(finished, loadOne)).flat();
      }),
    save: (entries) =>
      orUnwritable(folder, async () => {
        if (entries.length === 0) return;
        await inBatches(entries, (entry) => replaceFile(fileOf(entry), formatEntry(entry)));
        await flushFolder(folder);
      }),
    remove: (entries) =>
      orUnwritable(folder, async () => {
        if (entries.length === 0) return;
        await inBatches(entries, (entry) => rm(fileOf(entry), { force: true }));
        await flushFolder(folder);
      }),
  };
}

async function inBatches<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let start = 0; start < items.length; start += atOnce) {
    results.push(...(await Promise.all(items.slice(start, start + atOnce).map(work))));
  }
  return results;
}
