// The configured caches' tethers, each with what it needs of the rest.

import type { Logger } from "pino";
import type { Dirs } from "../config/dirs.js";
import { openForward } from "../forward/local-socket.js";
import type { Gateway } from "../gateway/gateway.js";
import type { Discovery } from "../sources/discovery.js";
import { askMetered } from "../sources/conditions/ask-metered.js";
import { readNetworkState } from "../sources/netmon/network-state.js";
import { handshakeDaemon } from "../upstream/handshake-daemon.js";
import type { CacheWay, Ways } from "./cache-ways.js";
import type { Posted } from "./controller.js";
import type { Find } from "./attempt.js";
import { findByHttp } from "./find-http.js";
import { findBySsh } from "./find-ssh.js";
import type { Listing } from "./listing.js";
import { openProcessors } from "../link/processors-file.js";
import { createTether, type Tether } from "./tether.js";
import type { Uploads } from "./uploads.js";
import type { Warnings } from "./warnings.js";

/** What the tethers have in common. */
export interface TethersDeps {
  readonly dirs: Dirs;
  /** Those to every cache. */
  readonly ways: Ways;
  readonly env: NodeJS.ProcessEnv;
  readonly discovery: Discovery;
  readonly gateway: Gateway;
  readonly listing: Pick<Listing, "begin">;
  /** Null where nothing is uploaded. */
  readonly uploads: Uploads | null;
  readonly warnings: Warnings;
  readonly post: (posted: Posted) => void;
  readonly log: Logger;
}

/** By the caches' names. */
export function createTethers(deps: TethersDeps): ReadonlyMap<string, Tether> {
  const { dirs, env, discovery, gateway, listing, uploads, warnings, post, log } = deps;
  const tethers = new Map<string, Tether>();
  const processors = openProcessors({ file: dirs.processorsFile, log });
  const finder = (name: string, ways: readonly CacheWay[]): Find => {
    const configs = ways.map(({ config }) => config);
    // All ways of a cache are of its own kind.
    const ssh = configs.filter((config) => config.type === "ssh");
    if (ssh.length > 0)
      return findBySsh({
        ...deps,
        name,
        configs: ssh,
        processors,
        handshake: handshakeDaemon,
        isMetered: askMetered,
      });
    return findByHttp({
      configs: configs.filter((config) => config.type === "http"),
      discovery,
      viaLink: (via) => tethers.get(via)?.link()?.ssh ?? null,
      env,
      warnRefused: warnings.follow("http-auth", name),
    });
  };
  const tetherOf = (name: string, ways: readonly CacheWay[]): Tether =>
    createTether({
      name,
      ways,
      gateway,
      discovery,
      find: finder(name, ways),
      log,
      openForward,
      beginRechecks: () => listing.begin(name),
      uploads: uploads?.of(name) ?? null,
      socketPath: dirs.cacheSocket(name),
      post: (fact) => post({ cache: name, fact }),
      warnForward: warnings.follow("forward-closed", name, "no socket for uploads: "),
      now: Date.now,
      network: readNetworkState,
    });
  for (const [name, ways] of deps.ways) tethers.set(name, tetherOf(name, ways));
  return tethers;
}
