// What can be found out about a cache's machine from here, by the daemon's own ways: where it is, which host keys it
// shows, what we could log in with, and whether a link to its nix-daemon comes about.

import type { Logger } from "pino";
import type { SshCacheConfig } from "../config/schema.js";
import { absence, lookupTarget, toLinkConfig } from "../daemon/cache-target.js";
import type { Endpoint, SshLink } from "../link/link.js";
import { gatherIdentities, type Identities } from "../link/identities.js";
import { askForHostKeys, type ShownKeys } from "../link/shown-keys.js";
import { knownHostsNames } from "../link/known-hosts.js";
import { readSshSettings, type LinkConfig, type SshSettings } from "../link/ssh-config.js";
import type { Login } from "../link/login.js";
import { connectLink } from "../link/ssh-link.js";
import type { Discovery, LookupResult, LookupTarget } from "../sources/discovery.js";
import { unique } from "../sources/discovery/picture.js";
import { handshakeDaemon } from "../upstream/handshake-daemon.js";
import { TetherError } from "../util/errors.js";
import { once, type Once } from "./once.js";

export interface MachineDeps {
  readonly discovery: Pick<Discovery, "lookup">;
  readonly env: NodeJS.ProcessEnv;
  readonly log: Logger;
  /** The same machine by the first way to it, where this is another one. */
  readonly first?: Pick<Machine, "settings"> | undefined;
}

/** How the whole way to the nix-daemon went. */
export interface Reached {
  /** Null where sshd did not let us in. */
  readonly login: Login | null;
  readonly link: SshLink | null;
  /** Why there is no link; null where there is one. */
  readonly error: TetherError | null;
}

/** Every measurement is made once; those that need another one make that first. */
export interface Machine {
  readonly name: string;
  readonly config: SshCacheConfig;
  readonly linkConfig: LinkConfig;
  readonly settings: Once<SshSettings>;
  /** Who answers to the name first. Rejects with code `absent` where nobody does. */
  readonly located: Once<LookupResult>;
  /** Those of everybody who answers to the name, where the first ones are not known. */
  readonly keys: Once<ShownKeys>;
  /** Where those answer whose keys were asked for; none before that. */
  everybody(): readonly Endpoint[];
  readonly identities: Once<Identities>;
  /** Rejects only with the signal's reason, or as those it needs. */
  readonly reached: Once<Reached>;
  /** Whether a link came about; false as well where nobody has tried. */
  wasReached(): boolean;
  close(): void;
}

/** What to do where nobody answers to a name. */
export function searchAdvice(how: LookupResult["how"], { host, service }: LookupTarget): string {
  if (how === "resolver")
    return "Correct it, or give it an address as HostName in ~/.ssh/config or in /etc/hosts.";
  const see = how === "service" ? `avahi-browse -rt ${service}` : `avahi-resolve -4 -n ${host}`;
  return (
    "Switch the machine on and join its network. If it is there: some access points keep multicast back " +
    `(\`${see}\` shows it); an address or another name as host works too.`
  );
}

export function createMachine(name: string, config: SshCacheConfig, deps: MachineDeps): Machine {
  const { env, log } = deps;
  const linkConfig = toLinkConfig(name, config);
  const settings = once(async (signal) => {
    const own = await readSshSettings(linkConfig, { env, signal });
    return deps.first === undefined ? own : { ...own, knownAs: await namesOf(deps.first, signal) };
  });
  const target = async (signal: AbortSignal): Promise<LookupTarget> =>
    lookupTarget(config, (await settings(signal)).hostname);
  const located = once(async (signal) => {
    const sought = await target(signal);
    const result = await deps.discovery.lookup(sought, signal);
    if (result.endpoints.length === 0) {
      throw new TetherError("absent", absence(sought, result), {
        remedy: searchAdvice(result.how, sought),
      });
    }
    return result;
  });
  /** Whoever answers to the name, as far as is known. */
  let everybody: readonly Endpoint[] = [];
  const keys = once(async (signal) => {
    const ask = async (endpoints: readonly Endpoint[]): Promise<ShownKeys> => {
      everybody = endpoints;
      return askForHostKeys({ settings: await settings(signal), endpoints, env, signal });
    };
    const first = await ask((await located(signal)).endpoints);
    if (first.shown.some(({ verdict }) => verdict === "known")) return first;
    // The machine itself may answer to its name too, only later.
    const { endpoints } = await deps.discovery.lookup(await target(signal), signal, { thorough: true });
    return endpoints.length === 0 ? first : ask(unique([...everybody, ...endpoints]));
  });
  const identities = once(async (signal) => gatherIdentities(await settings(signal), { env, signal, log }));
  let link: SshLink | null = null;
  let closed = false;
  const reached = once(async (signal): Promise<Reached> => {
    let login: Login | null = null;
    const args = {
      config: linkConfig,
      settings: await settings(signal),
      endpoints: everybody.length > 0 ? everybody : (await located(signal)).endpoints,
      handshake: handshakeDaemon,
      onLogin: (one: Login) => (login = one),
    };
    try {
      const made = await connectLink({ ...args, env, log, signal });
      if (closed) made.close();
      link = made;
      return { login, link, error: null };
    } catch (error) {
      if (!(error instanceof TetherError)) throw error;
      return { login, link: null, error };
    }
  });
  return {
    name,
    config,
    linkConfig,
    settings,
    located,
    keys,
    everybody: () => everybody,
    identities,
    reached,
    wasReached: () => link !== null,
    close: () => {
      closed = true;
      link?.close();
    },
  };
}

/** Under which names known_hosts has it. */
async function namesOf({ settings }: Pick<Machine, "settings">, signal: AbortSignal): Promise<string[]> {
  const first = await settings(signal).catch(() => null);
  signal.throwIfAborted();
  return first === null ? [] : [knownHostsNames(first, first.port).exact];
}
