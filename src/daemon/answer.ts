// Answers what the control socket is asked: the report as it stands, pausing and resuming.

import type { Config } from "../config/schema.js";
import type { Dirs } from "../config/dirs.js";
import type { ControlReply, ControlRequest, StatusReport, Warning } from "../control/messages.js";
import type { Gateway } from "../gateway/gateway.js";
import type { Controller, States } from "./controller.js";
import { bareCacheUrl } from "./override-file.js";
import { statusReport, type CacheFacts } from "./status.js";
import type { Tether } from "./tether.js";

export interface AnswerDeps {
  readonly config: Config;
  readonly dirs: Dirs;
  readonly controller: Controller;
  readonly gateway: Gateway;
  readonly tethers: ReadonlyMap<string, Tether>;
  readonly generationOf: (cache: string) => number;
  /** The warnings that stand at this moment, beyond those that a state tells. */
  readonly warnings: () => readonly Warning[];
  /** The caches that the override names at this moment. */
  readonly readListed: () => readonly string[];
  /** When the daemon started, in milliseconds since the epoch. */
  readonly since: number;
  readonly pid: number;
}

/** The `handle` of the control server. */
export function createAnswerer(deps: AnswerDeps): (request: ControlRequest) => Promise<ControlReply> {
  const { controller, tethers } = deps;
  return async (request) => {
    if (request.command !== "status") {
      const { command, cache } = request;
      const names = [...tethers.keys()];
      if (cache !== null && !tethers.has(cache)) {
        const message = `no cache named ${cache}; there are: ${names.join(", ") || "none"}`;
        return { ok: false, code: "unknown-cache", message };
      }
      const chosen = cache === null ? names : [cache];
      await Promise.all(chosen.map((name) => controller.post({ cache: name, fact: { type: command } })));
    }
    return { ok: true, status: report(deps, controller.states()) };
  };
}

function report(deps: AnswerDeps, states: States): StatusReport {
  const listed = deps.readListed();
  const caches = new Map<string, CacheFacts>();
  for (const [name, state] of states) {
    const generation = deps.generationOf(name);
    caches.set(name, {
      state,
      host: deps.config.caches[name]?.host ?? name,
      trusted: deps.config.caches[name]?.trusted ?? false,
      link: deps.tethers.get(name)?.link() ?? null,
      listed: listed.includes(name),
      url: bareCacheUrl({ port: deps.config.gateway.port, name, generation }),
      generation,
      socket: deps.dirs.cacheSocket(name),
      stats: deps.gateway.stats(name),
    });
  }
  const { pid, since } = deps;
  const overridePath = deps.dirs.overrideFile;
  return statusReport({ pid, since, caches, overridePath, listed, warnings: deps.warnings() });
}
