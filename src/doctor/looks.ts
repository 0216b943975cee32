// What each check does, and what they share: each measurement is made once, for all that speak of it.

import type { Logger } from "pino";
import type { ConfigPaths } from "../config/dirs.js";
import type { Config } from "../config/schema.js";
import type { StatusReport } from "../control/messages.js";
import type { Discovery } from "../sources/discovery.js";
import type { CacheCheckId, CheckId, CommonCheckId, Look, Subject, WayCheckId } from "./check.js";
import { configCheck } from "./checks/config.js";
import { daemonCheck, gatewayCheck, stateCheck } from "./checks/daemon.js";
import { hookCheck } from "./checks/hook.js";
import { lingeringCheck } from "./checks/lingering.js";
import { agentCheck, farNixCheck, hostKeyCheck, loginCheck, transportCheck } from "./checks/login.js";
import { includeCheck, systemConfCheck } from "./checks/nix-conf.js";
import { nixCheck, nixSettingsCheck } from "./checks/nix.js";
import { keysCheck, urlsCheck } from "./checks/permissions.js";
import { signaturesCheck } from "./checks/signatures.js";
import { webNameCheck, webServerCheck } from "./checks/web.js";
import { nameCheck, sshConfigCheck, sshdCheck } from "./checks/where.js";
import { createHere } from "./here.js";
import { createMachine, type Machine } from "./machine.js";
import type { Once } from "./once.js";
import type { PlannedCache } from "./plan.js";
import type { WayPlan } from "./ways.js";
import type { Website } from "./website.js";

export interface Parts {
  readonly configFile: string;
  readonly paths: ConfigPaths;
  readonly env: NodeJS.ProcessEnv;
  readonly log: Logger;
  readonly load: () => Promise<Config>;
  /** Null where there is none that could be read. */
  readonly config: Config | null;
  /** Those that are looked at. */
  readonly caches: readonly PlannedCache[];
  readonly machines: ReadonlyMap<WayPlan, Machine>;
  readonly websites: ReadonlyMap<WayPlan, Website>;
  /** The daemon's; rejects with code `no-daemon` where none runs. */
  readonly status: Once<StatusReport>;
  readonly discovery: Discovery;
}

/** The `lookAt` of `arrange`. */
export function looks(parts: Parts): (id: CheckId, subject: Subject) => Look | null {
  const { paths, env, log, load, config, caches, machines, websites, status, discovery } = parts;
  const here = createHere(env);
  const signs = async (signal: AbortSignal): Promise<boolean> =>
    config?.uploads["signing-key"] !== undefined ||
    (await here.system(signal)).list("secret-key-files").length > 0;
  const common: Record<CommonCheckId, Look | null> = {
    config: configCheck(parts.configFile, load),
    include: includeCheck(paths, env),
    nix: nixCheck(here),
    "nix-settings": nixSettingsCheck(here),
    daemon: daemonCheck(status),
    hook: config === null ? null : hookCheck(here, config),
    lingering: lingeringCheck(env),
    "system-conf": systemConfCheck(env),
  };
  const ruled = ({ rule }: WayPlan): Look | null => (rule === null ? null : async () => rule);
  const bySsh = (way: WayPlan, machine: Machine): Partial<Record<WayCheckId, Look | null>> => {
    const { SSH_AUTH_SOCK: _, ...serviceEnv } = env;
    const asService = createMachine(machine.name, machine.config, { discovery, env: serviceEnv, log });
    return {
      way: ruled(way),
      "ssh-config": sshConfigCheck(machine),
      agent: agentCheck(machine, asService, env),
      name: nameCheck(machine),
      sshd: sshdCheck(machine),
      "host-key": hostKeyCheck(machine),
      login: loginCheck(machine),
      transport: transportCheck(machine),
    };
  };
  const byHttp = (way: WayPlan, website: Website): Partial<Record<WayCheckId, Look | null>> => ({
    way: ruled(way),
    name: webNameCheck(website),
    "web-server": webServerCheck(website),
  });
  const forCache = (cache: PlannedCache, { gateway, uploads }: Config): Record<CacheCheckId, Look> => {
    const { name } = cache;
    const urlFacts = { name, config: cache.config, port: gateway.port };
    const reached = (): Machine | null =>
      cache.ways.map((way) => machines.get(way) ?? null).find((machine) => machine?.wasReached()) ?? null;
    const wasReached = (): boolean =>
      cache.ways.some((way) => (machines.get(way) ?? websites.get(way))?.wasReached() === true);
    return {
      "far-nix": farNixCheck(reached, { uploads: uploads.to.includes(name), signs }),
      urls: urlsCheck(here, urlFacts, log),
      keys: keysCheck(here, urlFacts),
      signatures: signaturesCheck(cache.config, reached, here),
      state: stateCheck(name, wasReached, status),
      gateway: gatewayCheck(name, gateway.port),
    };
  };
  const ofWays = new Map([
    ...[...machines].map(([way, machine]) => [way, bySsh(way, machine)] as const),
    ...[...websites].map(([way, website]) => [way, byHttp(way, website)] as const),
  ]);
  const ofCaches = new Map(
    config === null ? [] : caches.map((cache) => [cache.name, forCache(cache, config)]),
  );
  return (id, { cache, way }) => {
    if (id in common) return common[id as CommonCheckId];
    if (way !== null) return ofWays.get(way)?.[id as WayCheckId] ?? null;
    return ofCaches.get(cache ?? "")?.[id as CacheCheckId] ?? null;
  };
}
