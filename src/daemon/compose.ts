// The composition root: builds every part of a running daemon and joins them. Nothing else constructs parts.

import type { Logger } from "pino";
import type { Config } from "../config/schema.js";
import type { Dirs } from "../config/dirs.js";
import { rulesMatter } from "../decision/upload-gate.js";
import { needNames } from "../decision/ways.js";
import { createGateway, type Gateway } from "../gateway/gateway.js";
import { watchConditions, type Conditions } from "../sources/conditions.js";
import { createDiscovery } from "../sources/discovery.js";
import { startNetmon, type NetmonEvent } from "../sources/netmon.js";
import { readNetworkState } from "../sources/netmon/network-state.js";
import type { StatusReport } from "../control/messages.js";
import type { TetherError } from "../util/errors.js";
import { createAnswerer } from "./answer.js";
import { allWays } from "./cache-ways.js";
import { openControl } from "./control.js";
import { createController, type Controller, type Posted } from "./controller.js";
import { createDependents } from "./dependents.js";
import { createEffects } from "./effects.js";
import { takeGatewayPort } from "./gateway-port.js";
import { createCollector, createIdleMemory, workDone } from "./idle-memory.js";
import { createListing } from "./listing.js";
import { metricsReaders } from "./metrics-readers.js";
import { createPages } from "./pages.js";
import { createPausedRecord, readPaused } from "./paused-file.js";
import { startPulse } from "./pulse.js";
import { createRemember } from "./remember.js";
import { createReporter } from "./reporter.js";
import { statusLine } from "./status.js";
import { createNotifier, takeListenFd, takeWatchdogMs } from "./systemd.js";
import { createTethers } from "./tethers.js";
import { openUploads, uploadRules } from "./uploads.js";
import { createWarnings } from "./warnings.js";

/** What a daemon is started with. `env` loses the variables in which systemd passes sockets. */
export interface DaemonOptions {
  readonly config: Config;
  readonly dirs: Dirs;
  readonly log: Logger;
  readonly env: NodeJS.ProcessEnv;
}

/** A daemon that runs. */
export interface Daemon {
  /** Unlists every cache, lets running NARs finish for a bounded time, closes everything. */
  stop(): Promise<void>;
}

/** How long a NAR that is being delivered may go on after the daemon was told to stop, in milliseconds. */
const narGraceMs = 10_000;

/** Rejects where the daemon can not run at all: another one runs, or systemd holds the gateway's port for one. */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const { config, dirs, log, env } = options;
  const names = Object.keys(config.caches);
  const notifier = createNotifier({ ...env }, log);
  const fd = takeListenFd(env, process.pid, "gateway");
  const watchdogMs = takeWatchdogMs(env, process.pid);
  const warnings = createWarnings({ log, now: Date.now });
  const control = await openControl({ path: dirs.controlSocket, warnings, log });
  const ways = allWays(config);
  const common = { config, dirs, env, ways, warnings, log };

  let stopping = false;
  let noPort: TetherError | null = null;
  let controller: Controller | null = null;
  const post = (posted: Posted): void => void controller?.post(posted);
  const tick = async (): Promise<void> => controller?.post({ fact: { type: "tick" } });

  const listing = createListing({
    ...common,
    servesAny: (cache, hashParts, signal) => gateway.servesAny(cache, hashParts, signal),
    mayList: () => !stopping && noPort === null,
    onMoved: (cache) => post({ cache, fact: { type: "relist" } }),
    onPermitted: tick,
  });
  // What an earlier daemon listed is not in use.
  await listing.write([]);
  let report: (() => StatusReport) | null = null;
  const readers = metricsReaders({ users: config.gateway["metrics-users"], env, warnings });
  const gateway: Gateway = createGateway({
    caches: Object.entries(config.caches).map(([name, { priority }]) => ({ name, priority })),
    limits: { resumeMs: config.gateway["resume-wait"] * 1000 },
    onNarinfo: listing.generations.answered,
    pages: createPages({ report: () => report?.() ?? null, readers }),
    log,
  });
  const { port } = config.gateway;
  const leavePort = await takeGatewayPort({
    gateway,
    on: fd === null ? { port } : { fd, port },
    warnings,
    onTried: (error) => {
      noPort = error;
      void tick();
    },
  }).catch(async (error: unknown) => {
    await control.close();
    throw error;
  });
  listing.takeOver();

  const warnUploads = (code: string, cache: string | null, problem: unknown): void =>
    warnings.follow(code, cache)(problem);
  const uploads = await openUploads({ ...common, warn: warnUploads });
  // The machine may be a container that shares this computer's network: without another one, only loopback joins us.
  // It costs a socket, and with each lookup at most four packets that touch no cable; nothing is sent between lookups.
  // Whoever answers there must hold the host key as everywhere.
  const discovery = createDiscovery({ log, includeLoopback: true });
  const tethers = createTethers({ ...common, discovery, gateway, listing, uploads, post });

  await listing.look();
  const { pausedFile } = dirs;
  const paused = readPaused(pausedFile, names, log);
  const onSaved = warnings.follow("pause-unsaved", null);
  const pausedRecord = createPausedRecord({ file: pausedFile, paused, onSaved });
  const wakeDependents = createDependents({ ways, tethers, post });
  const apply = createEffects({
    tethers,
    entryOf: listing.entryOf,
    writeOverride: listing.write,
    followConditions: (conditions) => uploads?.follow(conditions),
    onApplied: (states) => {
      wakeDependents();
      pausedRecord.follow(states);
      notifier.status(statusLine(states, noPort?.message ?? null));
    },
  });
  const namesNeeded = needNames([...ways.values()].flat());
  const network = { state: readNetworkState(), connections: namesNeeded ? null : [] };
  const chance = { now: Date.now, random: Math.random };
  controller = createController({ ways, network, paused, apply, log, ...chance });
  const since = Date.now();
  const { pid } = process;
  report = createReporter({ ...common, controller, gateway, tethers, uploads, listing, since, pid });
  const { generations, permissions } = listing;
  const remember = createRemember({ caches: config.caches, gateway });
  control.answerWith(
    createAnswerer({ names, controller, uploads, permissions, generations, report, remember }),
  );

  const onNetmon = (event: NetmonEvent): void => {
    if (event.type === "sleep") {
      void controller.post({ fact: { type: "sleep" } }).then(event.done);
      return;
    }
    // Multicast memberships do not survive a change of interfaces.
    discovery.refresh({ force: event.type === "wake" || event.moved });
    post({ fact: event });
  };
  const netmon = startNetmon({ log, onEvent: onNetmon, names: namesNeeded });
  const onConditions = (conditions: Conditions): void => post({ fact: { type: "conditions", conditions } });
  const watch =
    uploads !== null && rulesMatter(uploadRules(config)) ? watchConditions({ log, onConditions }) : null;
  listing.warn();
  await Promise.all(names.map((cache) => controller.post({ cache, fact: { type: "due" } })));
  const currentReport = report;
  const spareMemory = createIdleMemory({ work: () => workDone(currentReport()), collect: createCollector() });
  const pulse = startPulse({
    beat: async () => {
      spareMemory();
      void listing.permissions.lookAgain();
      await control.mend();
      await tick();
    },
    onAlive: () => notifier.alive(),
    watchdogMs,
    log,
  });
  notifier.ready();

  return {
    stop: async () => {
      notifier.stopping();
      pulse.stop();
      leavePort();
      stopping = true;
      await listing.write([]);
      watch?.close();
      await netmon.close();
      await gateway.close(narGraceMs);
      await controller.post({ fact: { type: "stop" } });
      await Promise.all([...tethers.values()].map((tether) => tether.close()));
      await uploads?.close();
      await discovery.close();
      await Promise.all([listing.flush(), pausedRecord.flush()]);
      await control.close();
    },
  };
}
