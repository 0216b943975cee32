// Looks into a folder at once, whenever something is put there, and from time to time all the same; sooner where a look
// has failed.

import { watch, type FSWatcher } from "node:fs";

/** Several files that come together are looked at together, in milliseconds. */
const settleMs = 20;

/** From a look that has failed to the next, in milliseconds; doubled with each one that fails in a row. */
const againMs = 1_000;

/**
 * `look` is never run twice at a time, and once more after it ran while something came. It resolves to whether it has
 * succeeded, and must not reject. `isRescan` is true at the first look and at those that are made from time to time.
 */
export function watchFolder(options: {
  readonly folder: string;
  readonly everyMs: number;
  readonly look: (isRescan: boolean) => Promise<boolean>;
}): { close(): Promise<void> } {
  const { folder, everyMs, look } = options;
  let watcher: FSWatcher | null = null;
  let settling: NodeJS.Timeout | null = null;
  let rescan: NodeJS.Timeout | undefined;
  let failures = 0;
  let wanted: "nothing" | "look" | "rescan" = "nothing";
  let running: Promise<void> | null = null;
  let closed = false;

  const run = async (): Promise<void> => {
    while (wanted !== "nothing") {
      const isRescan = wanted === "rescan";
      wanted = "nothing";
      failures = (await look(isRescan)) ? 0 : failures + 1;
      if (closed) break;
      // After the look, which may have made the folder.
      if (isRescan) listen();
      if (isRescan || failures > 0)
        rescanIn(failures === 0 ? everyMs : Math.min(everyMs, againMs * 2 ** (failures - 1)));
    }
    running = null;
  };
  const want = (what: "look" | "rescan"): void => {
    if (closed) return;
    if (wanted !== "rescan") wanted = what;
    running ??= run();
  };
  const rescanIn = (ms: number): void => {
    clearTimeout(rescan);
    rescan = setTimeout(() => want("rescan"), ms).unref();
  };
  const onEvent = (): void => {
    settling ??= setTimeout(() => {
      settling = null;
      want("look");
    }, settleMs);
  };
  /** Anew each time: the folder may be another one of the same name by now. */
  const listen = (): void => {
    watcher?.close();
    watcher = null;
    try {
      watcher = watch(folder, { persistent: false }, onEvent);
      watcher.on("error", () => undefined);
      // Something may have come between the look and this.
      onEvent();
    } catch {
      // No such folder, or no more watches to be had: the rescan is left.
    }
  };

  want("rescan");

  return {
    close: async () => {
      closed = true;
      wanted = "nothing";
      clearTimeout(rescan);
      if (settling !== null) clearTimeout(settling);
      watcher?.close();
      await running;
    },
  };
}
