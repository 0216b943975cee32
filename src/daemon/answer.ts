// Answers what the control socket is asked: the report as it stands, pausing and resuming, the queue of uploads.

import type { Config } from "../config/schema.js";
import type { Dirs } from "../config/dirs.js";
import type {
  ControlReply,
  ControlRequest,
  QueueItem,
  QueueRequest,
  StatusReport,
} from "../control/messages.js";
import { unknownCache } from "../control/unknown-cache.js";
import type { Gateway } from "../gateway/gateway.js";
import type { Controller, States } from "./controller.js";
import type { Listing } from "./listing.js";
import { bareCacheUrl } from "./override-file.js";
import { statusReport, type CacheFacts } from "./status.js";
import type { Tether } from "./tether.js";
import type { Uploads } from "./uploads.js";
import type { Warnings } from "./warnings.js";
import { TetherError } from "../util/errors.js";

/** What the answers are made of. */
export interface AnswerDeps {
  readonly config: Config;
  readonly dirs: Dirs;
  readonly controller: Controller;
  readonly gateway: Gateway;
  readonly tethers: ReadonlyMap<string, Tether>;
  /** Null where nothing is uploaded. */
  readonly uploads: Uploads | null;
  readonly listing: Pick<Listing, "generations" | "permissions" | "readListed" | "warn">;
  readonly warnings: Pick<Warnings, "list">;
  /** When the daemon started, in milliseconds since the epoch. */
  readonly since: number;
  readonly pid: number;
}

/** The `handle` of the control server. */
export function createAnswerer(deps: AnswerDeps): (request: ControlRequest) => Promise<ControlReply> {
  const { controller, tethers } = deps;
  return async (request) => {
    if (request.command === "status" || request.command === "resume") {
      // A person may have mended something by now.
      await deps.listing.permissions.lookAgain();
    }
    if (request.command === "status") await deps.uploads?.look();
    if (isAboutQueue(request)) {
      const queue = await askQueue(deps.uploads, request);
      return { ok: true, status: report(deps, controller.states()), queue };
    }
    if (request.command !== "status") {
      const { command, cache } = request;
      const names = [...tethers.keys()];
      if (cache !== null && !tethers.has(cache)) throw unknownCache(cache, names);
      const chosen = cache === null ? names : [cache];
      await Promise.all(chosen.map((name) => controller.post({ cache: name, fact: { type: command } })));
    }
    return { ok: true, status: report(deps, controller.states()) };
  };
}

function isAboutQueue(request: ControlRequest): request is QueueRequest {
  return request.command === "enqueue" || request.command.startsWith("queue");
}

async function askQueue(uploads: Uploads | null, request: QueueRequest): Promise<QueueItem[]> {
  if (uploads === null) {
    if (request.command === "queue") return [];
    throw new TetherError(
      "no-targets",
      "there is no cache to upload to: name one in the configuration, as uploads.to",
    );
  }
  if (request.command === "enqueue") await uploads.enqueue(request.paths, { now: request.now === true });
  else if (request.command === "queue-retry")
    await uploads.retry(request.paths ?? "all", { now: request.now === true });
  else if (request.command === "queue-drop") await uploads.drop(request.paths ?? "all");
  return uploads.list();
}

const noUploads = { waiting: 0, uploaded: 0, failed: 0, targets: {} };

function report(deps: AnswerDeps, states: States): StatusReport {
  const { generations, permissions, readListed } = deps.listing;
  const listed = readListed();
  const caches = new Map<string, CacheFacts>();
  for (const [name, state] of states) {
    const generation = generations.current(name);
    caches.set(name, {
      state,
      host: deps.config.caches[name]?.host ?? name,
      trusted: deps.config.caches[name]?.trusted ?? false,
      link: deps.tethers.get(name)?.link() ?? null,
      listed: listed.includes(name),
      url: bareCacheUrl({
        port: deps.config.gateway.port,
        name,
        generation: permissions.listable(name) === "bare" ? undefined : generation,
      }),
      generation,
      socket: deps.dirs.cacheSocket(name),
      stats: deps.gateway.stats(name),
    });
  }
  const { pid, since } = deps;
  const overridePath = deps.dirs.overrideFile;
  const uploads = deps.uploads?.status() ?? noUploads;
  deps.listing.warn();
  const warnings = deps.warnings.list();
  return statusReport({ pid, since, caches, overridePath, listed, uploads, warnings });
}
