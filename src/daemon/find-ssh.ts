// Finds a machine with sshd: where is it, is it who it should be, and does its nix-daemon answer?

import type { Duplex } from "node:stream";
import type { Logger } from "pino";
import type { SshCacheConfig } from "../config/schema.js";
import type { Ciphers } from "../link/ciphers.js";
import type { DaemonInfo, Endpoint, SshLink } from "../link/link.js";
import { knownHostsNames, searchByPort, type KnownKey, type KnownKeysAt } from "../link/known-hosts.js";
import { rememberKnownKeys } from "../link/known-hosts-memory.js";
import { aesThere } from "../link/processors.js";
import type { Processors } from "../link/processors-file.js";
import { readSshSettings, type LinkConfig, type SshSettings } from "../link/ssh-config.js";
import { connectLink } from "../link/ssh-link.js";
import type { Discovery, LookupTarget } from "../sources/discovery.js";
import { endpointKey } from "../sources/discovery/picture.js";
import { TetherError } from "../util/errors.js";
import type { Find } from "./attempt.js";
import { sshCacheLink } from "./cache-link.js";
import { absence, lookupTarget, toLinkConfig } from "./cache-target.js";

export interface SshFindDeps {
  /** The cache's. */
  readonly name: string;
  /** By the index of the way: the cache as if this were the only one to it. */
  readonly configs: readonly SshCacheConfig[];
  readonly discovery: Pick<Discovery, "lookup">;
  readonly handshake: (stream: Duplex, ms: number) => Promise<DaemonInfo>;
  readonly processors: Processors;
  /** Whether the connection costs by volume; null where nobody knows. */
  readonly isMetered: () => Promise<boolean | null>;
  readonly env: NodeJS.ProcessEnv;
  readonly log: Logger;
}

const noSsh = "~/.ssh/config was not read, for there is no ssh program in PATH";

export function findBySsh(deps: SshFindDeps): Find {
  /** By the index of the way. */
  const findKeys = deps.configs.map(() => rememberKnownKeys());
  return async (way, onTarget, signal) => {
    const cache = deps.configs[way] as SshCacheConfig;
    const config = toLinkConfig(deps.name, cache);
    const { env } = deps;
    const [own, knownAs] = await Promise.all([
      readSshSettings(config, { env, signal }),
      way === 0 ? [] : firstNames(deps, signal),
    ]);
    const settings = { ...own, knownAs };
    const target = lookupTarget(cache, settings.hostname);
    onTarget(target);
    const knownKeys = searchByPort(settings, { env, signal }, findKeys[way]);
    // While the answer is waited for.
    void knownKeys(settings.port);
    const result = await deps.discovery.lookup(target, signal, { eager: true });
    signal.throwIfAborted();
    const { endpoints, more } = result;
    if (endpoints.length > 0) {
      const machine = { config, settings, target, endpoints, more, knownKeys };
      return {
        endpoints,
        connect: async () => {
          const link = await connectTo(machine, deps, signal);
          deps.processors.learn(link, () => aesThere(link));
          return sshCacheLink(link, deps.log, deps.isMetered);
        },
      };
    }
    const text = absence(target, result);
    return settings.sshConfigRead ? text : `${text}; ${noSsh}`;
  };
}

/** A machine as it was found. */
interface Machine {
  readonly config: LinkConfig;
  readonly settings: SshSettings;
  readonly target: LookupTarget;
  readonly endpoints: readonly Endpoint[];
  readonly more: Promise<readonly Endpoint[]> | undefined;
  readonly knownKeys: KnownKeysAt;
}

/** Under which names known_hosts has the machine by the first way. It is the same machine. */
async function firstNames({ name, configs, env }: SshFindDeps, signal: AbortSignal): Promise<string[]> {
  const config = toLinkConfig(name, configs[0] as SshCacheConfig);
  const settings = await readSshSettings(config, { env, signal }).catch(() => null);
  signal.throwIfAborted();
  return settings === null ? [] : [knownHostsNames(settings, settings.port).exact];
}

async function connectTo(machine: Machine, deps: SshFindDeps, signal: AbortSignal): Promise<SshLink> {
  const { env, log, handshake, discovery, processors } = deps;
  const { config, settings, target, knownKeys, more } = machine;
  const ciphersFor = (known: readonly KnownKey[]): Ciphers => processors.ciphersFor(settings, known);
  const common = { config, settings, knownKeys, ciphersFor, signal, log, env, handshake };
  const connect = (endpoints: readonly Endpoint[], later?: Promise<readonly Endpoint[]>): Promise<SshLink> =>
    connectLink({ ...common, endpoints, more: later });
  try {
    return await connect(machine.endpoints, more);
  } catch (error) {
    if (!isStranger(error)) throw error;
    // The machine itself may have answered to its name too, only later.
    const { endpoints } = await discovery.lookup(target, signal, { thorough: true });
    const tried = new Set([...machine.endpoints, ...((await more) ?? [])].map(endpointKey));
    const others = endpoints.filter((endpoint) => !tried.has(endpointKey(endpoint)));
    if (others.length === 0) throw error;
    return await connect(others);
  }
}

/** Whether who answered was somebody else. */
function isStranger(error: unknown): boolean {
  return error instanceof TetherError && /^host-key-(changed|unknown)$/.test(error.code);
}
