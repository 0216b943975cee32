// One try at a cache: where is it, and does its nix-daemon answer? Posts what it finds, decides nothing.

import type { Duplex } from "node:stream";
import type { Logger } from "pino";
import type { DaemonInfo, Endpoint, SshLink } from "../link/link.js";
import { knownHostsNames } from "../link/known-hosts.js";
import { readSshSettings, type LinkConfig, type SshSettings } from "../link/ssh-config.js";
import { connectLink } from "../link/ssh-link.js";
import type { Discovery, LookupTarget } from "../sources/discovery.js";
import { endpointKey } from "../sources/discovery/picture.js";
import type { CacheEvent, Failure } from "../sources/event.js";
import { TetherError, messageOf } from "../util/errors.js";
import { absence, lookupTarget, toLinkConfig } from "./cache-target.js";
import type { CacheWay } from "./cache-ways.js";

/** What a try needs. */
export interface AttemptDeps {
  /** The cache's. */
  readonly name: string;
  /** All of them, in the order of preference. */
  readonly ways: readonly CacheWay[];
  readonly discovery: Discovery;
  readonly handshake: (stream: Duplex, ms: number) => Promise<DaemonInfo>;
  readonly env: NodeJS.ProcessEnv;
  readonly log: Logger;
  readonly post: (fact: CacheEvent) => void;
  /** Told where the machine is looked for by a way, as soon as ssh_config has said so. */
  readonly onTarget: (way: number, target: LookupTarget) => void;
}

/** A link that can be used, and the index of the way that it goes. */
export interface Reached {
  readonly link: SshLink;
  readonly way: number;
}

const noSsh = "~/.ssh/config was not read, for there is no ssh program in PATH";

/**
 * Tries the ways with these indices, one after the other. Resolves to a usable link, or to null after posting why there is
 * none. An aborted try posts nothing.
 */
export async function attemptCache(
  attempt: number,
  ways: readonly number[],
  deps: AttemptDeps,
  signal: AbortSignal,
): Promise<Reached | null> {
  const absences = new Set<string>();
  let failure: Failure | null = null;
  for (const way of ways) {
    try {
      const found = await findMachine(way, deps, signal);
      if (typeof found === "string") {
        absences.add(found);
        continue;
      }
      deps.post({ type: "found", attempt, endpoints: found.endpoints });
      return { link: await connectTo(found, deps, signal), way };
    } catch (error) {
      if (signal.aborted) return null;
      // Of several the one that is preferred.
      failure ??= toFailure(error);
    }
  }
  if (failure === null) deps.post({ type: "absent", attempt, text: [...absences].join("; ") });
  else deps.post({ type: "failed", attempt, failure });
  return null;
}

/** A machine as it was found by one way. */
interface Found {
  readonly config: LinkConfig;
  readonly settings: SshSettings;
  readonly target: LookupTarget;
  readonly endpoints: readonly Endpoint[];
}

/** Or that it is not there, in a sentence. */
async function findMachine(way: number, deps: AttemptDeps, signal: AbortSignal): Promise<Found | string> {
  const { config: cache } = deps.ways[way] as CacheWay;
  const config = toLinkConfig(deps.name, cache);
  const settings = await readSshSettings(config, { env: deps.env, signal });
  const target = lookupTarget(cache, settings.hostname);
  deps.onTarget(way, target);
  const result = await deps.discovery.lookup(target, signal);
  signal.throwIfAborted();
  const { endpoints } = result;
  if (endpoints.length > 0) {
    const knownAs = way === 0 ? [] : await firstNames(deps, signal);
    return { config, settings: { ...settings, knownAs }, target, endpoints };
  }
  const text = absence(target, result);
  return settings.sshConfigRead ? text : `${text}; ${noSsh}`;
}

/** Under which names known_hosts has the machine by the first way. It is the same machine. */
async function firstNames({ name, ways, env }: AttemptDeps, signal: AbortSignal): Promise<string[]> {
  const config = toLinkConfig(name, (ways[0] as CacheWay).config);
  const settings = await readSshSettings(config, { env, signal }).catch(() => null);
  signal.throwIfAborted();
  return settings === null ? [] : [knownHostsNames(settings, settings.port).exact];
}

async function connectTo(found: Found, deps: AttemptDeps, signal: AbortSignal): Promise<SshLink> {
  const { env, log, handshake, discovery } = deps;
  const { config, settings, target } = found;
  const connect = (endpoints: readonly Endpoint[]): Promise<SshLink> =>
    connectLink({ config, settings, endpoints, signal, log, env, handshake });
  try {
    return await connect(found.endpoints);
  } catch (error) {
    if (!isStranger(error)) throw error;
    // The machine itself may have answered to its name too, only later.
    const { endpoints } = await discovery.lookup(target, signal, { thorough: true });
    const tried = new Set(found.endpoints.map(endpointKey));
    const others = endpoints.filter((endpoint) => !tried.has(endpointKey(endpoint)));
    if (others.length === 0) throw error;
    return await connect(others);
  }
}

/** Whether who answered was somebody else. */
function isStranger(error: unknown): boolean {
  return error instanceof TetherError && /^host-key-(changed|unknown)$/.test(error.code);
}

/** What went wrong, in the form that states and warnings hold. */
export function toFailure(error: unknown): Failure {
  if (error instanceof TetherError) return { code: error.code, text: error.message, remedy: error.remedy };
  return { code: "link-failed", text: messageOf(error), remedy: undefined };
}
