// How paths come into the queue by themselves: out of what the hook has left, or as the store's watcher has found them, but
// for those that the configuration does not want.

import type { Logger } from "pino";
import { createSerial } from "../util/serial.js";
import type { Addition, Entry } from "./entry.js";
import { readIncoming } from "./incoming.js";
import type { Sieve } from "./sieve.js";
import { orUnwritable, type MoveAside, type SpoolFolders } from "./spool-folders.js";

export interface IntakeDeps {
  readonly folders: SpoolFolders;
  readonly moveAside: MoveAside;
  readonly sieve: Sieve;
  readonly log: Logger;
  readonly isQueued: (path: string) => boolean;
  /** Writes them down. Resolves to what was not there before. */
  readonly enter: (additions: readonly Addition[]) => Promise<Entry[]>;
  /** Lets go of those that are not queued. */
  readonly release: (paths: readonly string[]) => Promise<void>;
}

export interface Intake {
  /** Takes in what the hook has left, and resolves to what was not there before. @throws TetherError `spool-unwritable` */
  takeIn(): Promise<Entry[]>;
  /** The same with what somebody else has found. */
  admit(additions: readonly Addition[]): Promise<Entry[]>;
  /** How many paths were not wanted. */
  skipped(): number;
}

export function createIntake(deps: IntakeDeps): Intake {
  const { folders, moveAside, sieve, log, isQueued, enter, release } = deps;
  const oneTakesIn = createSerial();
  let skipped = 0;

  const admit = async (additions: readonly Addition[]): Promise<Entry[]> => {
    const paths = [...new Set(additions.map(({ path }) => path))];
    const unwanted = await sieve(paths.filter((path) => !isQueued(path)));
    const fresh = await enter(additions.filter(({ path }) => !unwanted.has(path)));
    if (unwanted.size > 0) {
      skipped += unwanted.size;
      log.debug({ paths: unwanted.size }, "not queued for upload, as the configuration has it");
      await release([...unwanted]);
    }
    return fresh;
  };

  const takeIn = async (): Promise<Entry[]> => {
    const fresh: Entry[] = [];
    let more: boolean;
    do {
      const batch = await orUnwritable(folders.dir, () => readIncoming(folders.incoming, moveAside));
      fresh.push(...(await admit(batch.additions)));
      await orUnwritable(folders.dir, batch.done);
      ({ more } = batch);
    } while (more);
    return fresh;
  };

  return { takeIn: () => oneTakesIn(takeIn), admit, skipped: () => skipped };
}
