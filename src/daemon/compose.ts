// The composition root: builds every part of a running daemon and joins them. Nothing else constructs parts.

import type { Logger } from "pino";
import type { CacheConfig, Config } from "../config/schema.js";
import type { Dirs } from "../config/dirs.js";
import type { ControlReply, ControlRequest } from "../control/messages.js";
import { serveControl } from "../control/server.js";
import { generationCount } from "../decision/generation.js";
import { openForward } from "../forward/local-socket.js";
import { createGateway, type Gateway } from "../gateway/gateway.js";
import type { SshLink } from "../link/link.js";
import { createDiscovery } from "../sources/discovery.js";
import { startNetmon, type NetmonEvent } from "../sources/netmon.js";
import { readNetworkState } from "../sources/netmon/network-state.js";
import { createDaemonUpstream } from "../upstream/daemon-upstream.js";
import { handshakeDaemon } from "../upstream/handshake-daemon.js";
import { TetherError, messageOf } from "../util/errors.js";
import { createAnswerer } from "./answer.js";
import { removeAwayMark, withDenialsWhileAway } from "./away-mark.js";
import { createController, type Controller, type Posted } from "./controller.js";
import { createEffects } from "./effects.js";
import { takeGatewayPort } from "./gateway-port.js";
import { readGenerations, writeGenerations } from "./generation-file.js";
import { createGenerations } from "./generations.js";
import { isTrustedUser } from "./local-nix.js";
import { findInclude, includeAdvice } from "./nix-conf.js";
import { cacheUrl, createOverrideFile, type OverrideEntry } from "./override-file.js";
import { createPausedRecord, readPaused } from "./paused-file.js";
import { startPulse } from "./pulse.js";
import { askRefusedUrls } from "./refused-urls.js";
import { defaultRecheckTimes } from "./rechecks.js";
import { createSaver } from "./saver.js";
import { statusLine } from "./status.js";
import { createNotifier, takeListenFd, takeWatchdogMs } from "./systemd.js";
import { createTether, type Tether } from "./tether.js";
import { openUploads } from "./uploads.js";
import { createUrlPermissions } from "./url-permissions.js";
import { createWarnings, type Warnings } from "./warnings.js";

export interface DaemonOptions {
  readonly config: Config;
  readonly dirs: Dirs;
  readonly log: Logger;
  readonly env: NodeJS.ProcessEnv;
}

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
  /** A warning that stands from an error on until null is told. */
  const warnIf =
    (code: string, cache: string | null, before = "") =>
    (error: unknown): void =>
      error === null
        ? warnings.clear(code, cache)
        : warnings.raise(code, cache, `${before}${describe(error)}`);

  // The control socket comes first: it is what tells a second daemon that there is a first.
  let answer: (request: ControlRequest) => Promise<ControlReply> = () =>
    Promise.resolve({ ok: false, code: "starting", message: "the daemon is still starting" });
  const control = await serveControl({ path: dirs.controlSocket, handle: (request) => answer(request), log });
  const warnControl = warnIf("control-unusable", null);

  const override = createOverrideFile({ path: dirs.overrideFile, log });
  let stopping = false;
  let noPort: TetherError | null = null;
  const warnOverride = warnIf("override-unwritable", null);
  const writeOverride = (entries: readonly OverrideEntry[]): void => {
    try {
      override.write(stopping || noPort !== null ? [] : entries);
      warnOverride(null);
    } catch (error) {
      warnOverride(error);
    }
  };
  writeOverride([]);

  let controller: Controller | null = null;
  const post = (posted: Posted): void => void controller?.post(posted);
  const generations = createGenerations({
    caches: names,
    saved: withDenialsWhileAway(readGenerations(dirs.generationFile, log), names, dirs.awayMark),
    servesAny: (cache, hashParts, signal) => gateway.servesAny(cache, hashParts, signal),
    refused: (cache) => permissions.refused(cache),
    onMoved: (cache) => post({ cache, fact: { type: "relist" } }),
    onChanged: () => saver.changed(),
    times: defaultRecheckTimes,
    now: Date.now,
    log,
  });
  const { port } = config.gateway;
  const urlOf = (name: string, generation?: number): string => {
    const { priority, trusted } = config.caches[name] as CacheConfig;
    return cacheUrl({ port, name, generation, priority, trusted });
  };
  const allGenerations = Array.from({ length: generationCount }, (_, generation) => generation);
  const permissions = createUrlPermissions({
    urls: new Map(names.map((name) => [name, allGenerations.map((one) => urlOf(name, one))])),
    bareUrls: new Map(names.map((name) => [name, urlOf(name)])),
    generationOf: generations.current,
    ask: (urls) => askRefusedUrls(urls, env, log),
    onChanged: async () => controller?.post({ fact: { type: "tick" } }),
    warnings,
  });
  const saveGenerations = async (): Promise<void> => {
    await writeGenerations(dirs.generationFile, generations.snapshot());
    removeAwayMark(dirs.awayMark);
  };
  const saver = createSaver(saveGenerations, {
    soonMs: 1_000,
    everyMs: 10_000,
    onSaved: warnIf("state-unwritable", null),
  });

  const gateway: Gateway = createGateway({
    caches: Object.entries(config.caches).map(([name, { priority }]) => ({ name, priority })),
    limits: { resumeMs: config.gateway["resume-wait"] * 1000 },
    onNarinfo: generations.answered,
    log,
  });
  const leavePort = await takeGatewayPort({
    gateway,
    on: fd === null ? { port } : { fd, port },
    onTried: (error) => {
      noPort = error;
      for (const code of ["gateway-port-taken", "gateway-port-held", "gateway-listen"]) {
        warnIf(code, null)(error?.code === code ? error : null);
      }
      post({ fact: { type: "tick" } });
    },
  }).catch(async (error: unknown) => {
    await control.close();
    throw error;
  });
  saver.changed();

  const warnUploads = (code: string, cache: string | null, problem: unknown): void =>
    warnIf(code, cache)(problem);
  // Fetching goes on without.
  const uploads = await openUploads({ config, dirs, env, log, warn: warnUploads }).catch((error: unknown) => {
    warnUploads("spool-unwritable", null, error);
    return null;
  });

  // The machine may be a container that shares this computer's network: without another one, only loopback joins us.
  // It costs a socket, and with each lookup at most four packets that touch no cable; nothing is sent between lookups.
  // Whoever answers there must hold the host key as everywhere.
  const discovery = createDiscovery({ log, includeLoopback: true });
  const tetherOf = (name: string, cache: CacheConfig): Tether =>
    createTether({
      name,
      config: cache,
      gateway,
      discovery,
      env,
      log,
      openForward,
      openUpstream: (link) => {
        const openDaemon = (): ReturnType<SshLink["openDaemon"]> => link.openDaemon();
        // sshd allows ten sessions on a connection (MaxSessions); lookups, probes and uploads need theirs.
        const limits = link.transport === "stdio" ? { narConnections: 6 } : {};
        return createDaemonUpstream({ openDaemon, exec: (command) => link.exec(command), limits, log });
      },
      beginRechecks: () => {
        // Root may have thought otherwise since the last time.
        void permissions.look();
        return generations.begin(name);
      },
      uploads: uploads?.of(name) ?? null,
      handshake: handshakeDaemon,
      socketPath: dirs.cacheSocket(name),
      post: (fact) => post({ cache: name, fact }),
      warnForward: warnIf("forward-closed", name, "no socket for uploads: "),
      now: Date.now,
      network: readNetworkState,
    });
  const tethers = new Map(names.map((name) => [name, tetherOf(name, config.caches[name] as CacheConfig)]));

  const [keysAllowed] = await Promise.all([mayWriteKeys(options), permissions.look()]);
  const entryOf = (name: string): OverrideEntry | null => {
    const listable = permissions.listable(name);
    if (listable === null) return null;
    const keys = config.caches[name]?.["public-keys"] ?? [];
    const url = listable === "bare" ? urlOf(name) : urlOf(name, generations.current(name));
    return { name, url, publicKeys: keysAllowed ? keys : [] };
  };
  const { pausedFile } = dirs;
  const paused = readPaused(pausedFile, names, log);
  const onSaved = warnIf("pause-unsaved", null);
  const pausedRecord = createPausedRecord({ file: pausedFile, paused, onSaved });
  const apply = createEffects({
    tethers,
    entryOf,
    writeOverride,
    onApplied: (states) => {
      pausedRecord.follow(states);
      notifier.status(statusLine(states, noPort?.message ?? null));
    },
  });
  controller = createController({ caches: names, paused, apply, log, now: Date.now, random: Math.random });
  answer = createAnswerer({
    config,
    dirs,
    controller,
    gateway,
    tethers,
    uploads,
    generationOf: generations.current,
    listable: permissions.listable,
    lookAgain: permissions.lookAgain,
    warnings: () => {
      checkInclude(options, warnings);
      permissions.warn();
      return warnings.list();
    },
    readListed: override.readListed,
    since: Date.now(),
    pid: process.pid,
  });

  const onNetmon = (event: NetmonEvent): void => {
    if (event.type === "sleep") {
      void controller.post({ fact: { type: "sleep" } }).then(event.done);
      return;
    }
    // Multicast memberships do not survive a change of interfaces.
    discovery.refresh({ force: event.type === "wake" || event.moved });
    post({ fact: event });
  };
  const netmon = startNetmon({ log, onEvent: onNetmon });
  checkInclude(options, warnings);
  await Promise.all(names.map((cache) => controller.post({ cache, fact: { type: "due" } })));
  const pulse = startPulse({
    beat: async () => {
      void permissions.lookAgain();
      await control.mend().then(() => warnControl(null), warnControl);
      await controller.post({ fact: { type: "tick" } });
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
      writeOverride([]);
      await netmon.close();
      await gateway.close(narGraceMs);
      await controller.post({ fact: { type: "stop" } });
      await Promise.all([...tethers.values()].map((tether) => tether.close()));
      await uploads?.close();
      await discovery.close();
      await Promise.all([saver.flush(), pausedRecord.flush()]);
      await control.close();
    },
  };
}

/** Without the include the override does nothing, and nothing else would say so. */
function checkInclude({ dirs, env }: DaemonOptions, warnings: Warnings): void {
  const advice = includeAdvice(findInclude(dirs, env));
  if (advice === null) warnings.clear("override-not-included", null);
  else warnings.raise("override-not-included", null, `${advice.text}. ${advice.remedy}`);
}

/** Nix takes keys from trusted users only, and warns anybody else at every command. */
async function mayWriteKeys({ config, env, log }: DaemonOptions): Promise<boolean> {
  const anyKeys = Object.values(config.caches).some((cache) => cache["public-keys"].length > 0);
  return anyKeys && (await isTrustedUser(env, log));
}

function describe(error: unknown): string {
  const remedy = error instanceof TetherError ? error.remedy : undefined;
  return remedy === undefined ? messageOf(error) : `${messageOf(error)}. ${remedy}`;
}
