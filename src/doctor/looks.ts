// What each check does, and what they share: each measurement is made once, for all that speak of it.

import type { Logger } from "pino";
import type { ConfigPaths } from "../config/dirs.js";
import type { Config } from "../config/schema.js";
import { askDaemon } from "../control/client.js";
import type { Discovery } from "../sources/discovery.js";
import { TetherError } from "../util/errors.js";
import type { CacheCheckId, CheckId, CommonCheckId, Look } from "./check.js";
import { configCheck } from "./checks/config.js";
import { daemonCheck, gatewayCheck, stateCheck } from "./checks/daemon.js";
import { hookCheck } from "./checks/hook.js";
import { lingeringCheck } from "./checks/lingering.js";
import { agentCheck, farNixCheck, hostKeyCheck, loginCheck, transportCheck } from "./checks/login.js";
import { includeCheck, systemConfCheck } from "./checks/nix-conf.js";
import { nixCheck, nixSettingsCheck } from "./checks/nix.js";
import { keysCheck, urlsCheck } from "./checks/permissions.js";
import { signaturesCheck } from "./checks/signatures.js";
import { nameCheck, sshConfigCheck, sshdCheck } from "./checks/where.js";
import { createHere } from "./here.js";
import { createMachine, type Machine } from "./machine.js";
import { once } from "./once.js";

const statusMs = 5_000;

export interface Parts {
  readonly configFile: string;
  readonly paths: ConfigPaths;
  readonly controlSocket: () => string;
  readonly env: NodeJS.ProcessEnv;
  readonly log: Logger;
  readonly load: () => Promise<Config>;
  /** Null where there is none that could be read. */
  readonly config: Config | null;
  readonly machines: ReadonlyMap<string, Machine>;
  readonly discovery: Discovery;
}

/** The `lookAt` of `arrange`. */
export function looks(parts: Parts): (id: CheckId, cache: string | null) => Look | null {
  const { paths, env, log, load, config, machines, discovery } = parts;
  const here = createHere(env);
  const status = once(async () => {
    const reply = await askDaemon(parts.controlSocket(), { command: "status" }, { timeoutMs: statusMs });
    if (!reply.ok) throw new TetherError(reply.code, reply.message, { remedy: reply.remedy });
    return reply.status;
  });
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
  const forEach = (machine: Machine, { gateway, uploads }: Config): Record<CacheCheckId, Look> => {
    const { name, config: cache } = machine;
    const { SSH_AUTH_SOCK: _, ...serviceEnv } = env;
    const asService = createMachine(name, cache, { discovery, env: serviceEnv, log });
    const urlFacts = { name, config: cache, port: gateway.port };
    return {
      "ssh-config": sshConfigCheck(machine),
      agent: agentCheck(machine, asService, env),
      name: nameCheck(machine),
      sshd: sshdCheck(machine),
      "host-key": hostKeyCheck(machine),
      login: loginCheck(machine),
      transport: transportCheck(machine),
      "far-nix": farNixCheck(machine, { uploads: uploads.to.includes(name), signs }),
      urls: urlsCheck(here, urlFacts, log),
      keys: keysCheck(here, urlFacts),
      signatures: signaturesCheck(machine, here),
      state: stateCheck(machine, status),
      gateway: gatewayCheck(name, gateway.port),
    };
  };
  const made = new Map(
    [...machines].flatMap(([name, machine]) => (config === null ? [] : [[name, forEach(machine, config)]])),
  );
  return (id, cache) => {
    if (id in common) return common[id as CommonCheckId];
    return made.get(cache ?? "")?.[id as CacheCheckId] ?? null;
  };
}
