// Writes something down soon after it has changed, and not too often while it goes on changing.

/** Knows when something is to be written. */
export interface Saver {
  /** What is to be written has changed. */
  changed(): void;
  /** Writes what has changed since; resolves when everything is written. */
  flush(): Promise<void>;
}

/** How soon, how often, and who hears of it. */
export interface SaverOptions {
  /** From a change to its being written, in milliseconds. */
  readonly soonMs: number;
  /** From one time of writing to the next, at least, in milliseconds. */
  readonly everyMs: number;
  /** Told each time: null, or why it could not be written. */
  readonly onSaved: (error: unknown) => void;
}

/** `write` is never run twice at once. */
export function createSaver(write: () => Promise<void>, options: SaverOptions): Saver {
  let timer: NodeJS.Timeout | null = null;
  let savedAt = -Infinity;
  let saving: Promise<void> = Promise.resolve();

  const save = (): void => {
    timer = null;
    savedAt = performance.now();
    saving = saving.then(write).then(() => options.onSaved(null), options.onSaved);
  };
  return {
    changed: () => {
      const ms = Math.max(options.soonMs, savedAt + options.everyMs - performance.now());
      timer ??= setTimeout(save, ms);
    },
    flush: async () => {
      if (timer !== null) {
        clearTimeout(timer);
        save();
      }
      await saving;
    },
  };
}
