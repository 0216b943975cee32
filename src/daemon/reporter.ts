// Gathers from the parts of the daemon what `status` shows, as it stands at the moment.

import type { Config } from "../config/schema.js";
import type { Dirs } from "../config/dirs.js";
import type { StatusReport } from "../control/messages.js";
import type { Gateway } from "../gateway/gateway.js";
import type { Ways } from "./cache-ways.js";
import type { Controller } from "./controller.js";
import type { Listing } from "./listing.js";
import { bareCacheUrl } from "./override-file.js";
import { statusReport, type CacheFacts } from "./status.js";
import type { Tether } from "./tether.js";
import type { Uploads } from "./uploads.js";
import type { Warnings } from "./warnings.js";

/** What the report is made of. */
export interface ReporterDeps {
  readonly config: Config;
  readonly dirs: Dirs;
  readonly ways: Ways;
  readonly controller: Pick<Controller, "states" | "losses">;
  readonly gateway: Pick<Gateway, "stats" | "transfers">;
  readonly tethers: ReadonlyMap<string, Tether>;
  /** Null where nothing is uploaded. */
  readonly uploads: Uploads | null;
  readonly listing: Pick<Listing, "generations" | "permissions" | "readListed" | "warn">;
  readonly warnings: Pick<Warnings, "list">;
  /** When the daemon started, in milliseconds since the epoch. */
  readonly since: number;
  readonly pid: number;
}

const noUploads = { waiting: 0, uploaded: 0, failed: 0, skipped: 0, targets: {} };

export function createReporter(deps: ReporterDeps): () => StatusReport {
  const { config, controller, gateway } = deps;
  const { generations, permissions, readListed } = deps.listing;
  return () => {
    const listed = readListed();
    const caches = new Map<string, CacheFacts>();
    for (const [name, state] of controller.states()) {
      const generation = generations.current(name);
      const cache = config.caches[name];
      const ways = deps.ways.get(name) ?? [];
      caches.set(name, {
        state,
        host: ways[0]?.host ?? name,
        ways,
        type: cache?.type ?? "ssh",
        trusted: cache?.trusted ?? false,
        link: deps.tethers.get(name)?.link() ?? null,
        listed: listed.includes(name),
        url: bareCacheUrl({
          port: config.gateway.port,
          name,
          generation: permissions.listable(name) === "bare" ? undefined : generation,
        }),
        generation,
        socket: cache?.type === "http" ? null : deps.dirs.cacheSocket(name),
        stats: gateway.stats(name),
        losses: controller.losses(name),
        transfers: gateway.transfers(name),
      });
    }
    const { pid, since } = deps;
    const overridePath = deps.dirs.overrideFile;
    const uploads = deps.uploads?.status() ?? noUploads;
    deps.listing.warn();
    const warnings = deps.warnings.list();
    return statusReport({ pid, since, caches, overridePath, listed, uploads, warnings });
  };
}
