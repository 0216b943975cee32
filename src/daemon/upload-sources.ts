// Where the queue of uploads gets its paths from: what a post-build hook leaves, and the store itself where that is wanted.

import path from "node:path";
import type { Logger } from "pino";
import type { Config } from "../config/schema.js";
import type { Dirs } from "../config/dirs.js";
import { storeDir } from "../protocol/store-path.js";
import type { NixTools } from "../uploads/nix-tools.js";
import type { Spool } from "../uploads/spool.js";
import { watchStore } from "../uploads/store-watch.js";

/** What the sources need. */
export interface UploadSourcesOptions {
  readonly config: Config;
  readonly dirs: Dirs;
  readonly spool: Spool;
  readonly nix: NixTools;
  readonly log: Logger;
  /** Something new waits. */
  readonly onNew: () => void;
  /** Raises or (null) clears a warning. */
  readonly warn: (code: string, cache: string | null, problem: unknown) => void;
}

/** Fills the spool until it is closed. */
export function followSources(options: UploadSourcesOptions): { close(): Promise<void> } {
  const { config, dirs, spool, nix, log, onNew, warn } = options;
  // What a hook leaves is taken in any case: somebody has installed it.
  const sources = [spool.watch(onNew)];
  if (config.uploads.source === "watch") {
    const store = watchStore({
      folder: storeDir,
      markFile: path.join(dirs.spoolDir, "store-watch.json"),
      infos: (paths, signal) => nix.infos(paths, signal),
      onBuilt: async (additions) => {
        if ((await spool.offer(additions)).length > 0) onNew();
      },
      warn: (code, problem) => warn(code, null, problem),
      log,
    });
    sources.push(store);
  }
  return { close: async () => void (await Promise.all(sources.map((source) => source.close()))) };
}
