// One try at a cache: where is it, and does its nix-daemon answer? Posts what it finds, decides nothing.

import type { Duplex } from "node:stream";
import type { Logger } from "pino";
import type { CacheConfig } from "../config/schema.js";
import type { DaemonInfo, Endpoint, SshLink } from "../link/link.js";
import { readSshSettings } from "../link/ssh-config.js";
import { connectLink } from "../link/ssh-link.js";
import type { Discovery, LookupTarget } from "../sources/discovery.js";
import { endpointKey } from "../sources/discovery/picture.js";
import type { CacheEvent, Failure } from "../sources/event.js";
import { TetherError, messageOf } from "../util/errors.js";
import { absence, lookupTarget, toLinkConfig } from "./cache-target.js";

/** What a try needs. */
export interface AttemptDeps {
  /** The cache's. */
  readonly name: string;
  readonly discovery: Discovery;
  readonly handshake: (stream: Duplex, ms: number) => Promise<DaemonInfo>;
  readonly env: NodeJS.ProcessEnv;
  readonly log: Logger;
  readonly post: (fact: CacheEvent) => void;
  /** Told where the machine is looked for, as soon as ssh_config has said so. */
  readonly onTarget: (target: LookupTarget) => void;
}

const noSsh = "~/.ssh/config was not read, for there is no ssh program in PATH";

/** Resolves to a usable link, or to null after posting why there is none. An aborted try posts nothing. */
export async function attemptCache(
  attempt: number,
  config: CacheConfig,
  deps: AttemptDeps,
  signal: AbortSignal,
): Promise<SshLink | null> {
  try {
    const linkConfig = toLinkConfig(deps.name, config);
    const settings = await readSshSettings(linkConfig, { env: deps.env, signal });
    const target = lookupTarget(config, settings.hostname);
    deps.onTarget(target);
    const result = await deps.discovery.lookup(target, signal);
    signal.throwIfAborted();
    if (result.endpoints.length === 0) {
      const text = absence(target, result);
      deps.post({ type: "absent", attempt, text: settings.sshConfigRead ? text : `${text}; ${noSsh}` });
      return null;
    }
    deps.post({ type: "found", attempt, endpoints: result.endpoints });
    const { env, log, handshake } = deps;
    const connect = (endpoints: readonly Endpoint[]): Promise<SshLink> =>
      connectLink({ config: linkConfig, settings, endpoints, signal, log, env, handshake });
    try {
      return await connect(result.endpoints);
    } catch (error) {
      if (!isStranger(error)) throw error;
      // The machine itself may have answered to its name too, only later.
      const { endpoints } = await deps.discovery.lookup(target, signal, { thorough: true });
      const tried = new Set(result.endpoints.map(endpointKey));
      const others = endpoints.filter((endpoint) => !tried.has(endpointKey(endpoint)));
      if (others.length === 0) throw error;
      return await connect(others);
    }
  } catch (error) {
    if (!signal.aborted) deps.post({ type: "failed", attempt, failure: toFailure(error) });
    return null;
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
