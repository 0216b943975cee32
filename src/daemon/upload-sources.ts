// Where the queue of uploads gets its paths from: what a post-build hook leaves, and the store itself where that is wanted.

import path from "node:path";
import type { Logger } from "pino";
import type { Config } from "../config/schema.js";
import type { Dirs } from "../config/dirs.js";
import { storeDir } from "../protocol/store-path.js";
import type { NixTools } from "../nix/nix-tools.js";
import { createPublicCaches } from "../uploads/public-caches.js";
import { createSieve, type Sieve } from "../uploads/sieve.js";
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

/** What the configuration does not want among what comes in by itself. */
export function uploadSieve({ uploads }: Config, nix: NixTools, log: Logger): Sieve {
  const { only, skip, "max-size": maxSize = null, "skip-available-in": caches } = uploads;
  const urls = caches.map((url) => url.replace(/\/+$/, ""));
  const available = createPublicCaches({ urls, log });
  return createSieve({ only, skip, maxSize }, { infos: (paths) => nix.infos(paths), available, log });
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
