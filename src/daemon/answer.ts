// Answers what the control socket is asked: the report as it stands, pausing and resuming, asking again, the queue of
// uploads, what is known of a path.

import type {
  ControlReply,
  ControlRequest,
  QueueItem,
  QueueRequest,
  StatusReport,
} from "../control/messages.js";
import type { CacheMemory } from "../control/path-memory.js";
import { unknownCache } from "../control/unknown-cache.js";
import type { Controller } from "./controller.js";
import type { Generations } from "./generations.js";
import type { Uploads } from "./uploads.js";
import type { UrlPermissions } from "./url-permissions.js";
import { TetherError } from "../util/errors.js";

/** What the answers are made of. */
export interface AnswerDeps {
  /** The names of the caches. */
  readonly names: readonly string[];
  readonly controller: Pick<Controller, "post">;
  /** Null where nothing is uploaded. */
  readonly uploads: Uploads | null;
  readonly permissions: Pick<UrlPermissions, "lookAgain">;
  readonly generations: Pick<Generations, "recheck">;
  readonly report: () => StatusReport;
  /** What the caches tell of a path. Bounded; never rejects. */
  readonly remember: (hashPart: string) => Promise<Record<string, CacheMemory>>;
}

/** The `handle` of the control server. */
export function createAnswerer(deps: AnswerDeps): (request: ControlRequest) => Promise<ControlReply> {
  const { controller, names, report } = deps;
  return async (request) => {
    if (["status", "resume", "connect"].includes(request.command)) {
      // A person may have mended something by now.
      await deps.permissions.lookAgain();
    }
    if (request.command === "status") await deps.uploads?.look();
    if (request.command === "explain") {
      const memory = await deps.remember(request.hashPart);
      return { ok: true, status: report(), memory };
    }
    if (isAboutQueue(request)) {
      const queue = await askQueue(deps.uploads, request);
      return { ok: true, status: report(), queue };
    }
    if (request.command !== "status") {
      const { command, cache } = request;
      if (cache !== null && !names.includes(cache)) throw unknownCache(cache, names);
      const chosen = cache === null ? names : [cache];
      if (command === "recheck") await Promise.all(chosen.map(deps.generations.recheck));
      // Who waits for a recheck wants to find its effect in the override.
      const fact = { type: command === "recheck" ? "relist" : command } as const;
      await Promise.all(chosen.map((name) => controller.post({ cache: name, fact })));
    }
    return { ok: true, status: report() };
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
