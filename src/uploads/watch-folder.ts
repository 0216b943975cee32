// Looks into a folder at once, whenever something is put there, and from time to time all the same; sooner where a look
// has failed.

import { watch, type FSWatcher } from "node:fs";

/** From a look that has failed to the next, in milliseconds; doubled with each one that fails in a row. */
const againMs = 1_000;

export interface WatchFolderOptions {
  readonly folder: string;
  /** From one rescan to the next, in milliseconds. */
  readonly everyMs: number;
  /** Files that come or go within so many milliseconds are looked at together. */
  readonly settleMs?: number;
  /** Whether something by this name is to be looked at; by default everything is. */
  readonly concerns?: (name: string) => boolean;
  /**
   * Resolves to whether it has succeeded; must not reject. Told whether this is a rescan, as the first look and those that
   * are made from time to time, and what has come, changed or gone since the last look. Names may be missing: the kernel
   * drops them in a flood, and Node does not say so.
   */
  readonly look: (isRescan: boolean, names: readonly string[]) => Promise<boolean>;
}

/** `look` is never run twice at a time, and once more after it ran while something came. */
export function watchFolder(options: WatchFolderOptions): { close(): Promise<void> } {
  const { folder, everyMs, settleMs = 20, concerns = () => true, look } = options;
  const names = new Set<string>();
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
      const changed = [...names];
      names.clear();
      failures = (await look(isRescan, changed)) ? 0 : failures + 1;
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
  const onEvent = (_type?: string, name: string | null = null): void => {
    if (name !== null && !concerns(name)) return;
    if (name !== null) names.add(name);
    settling ??= setTimeout(() => {
      settling = null;
      want("look");
    }, settleMs);
  };
  /** Anew each time: the folder may be another one of the same name by now. */
  const listen = (): void => {
    // Closed afterwards: what has come and was not read yet would be lost with the last watcher of a folder.
    const before = watcher;
    watcher = null;
    try {
      watcher = watch(folder, { persistent: false }, onEvent);
      watcher.on("error", () => undefined);
      // Something may have come between the look and this.
      onEvent();
    } catch {
      // No such folder, or no more watches to be had: the rescan is left.
    }
    before?.close();
  };

  listen();
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
