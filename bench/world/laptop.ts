// The machine that builds: an empty store with root's nix-daemon, and what asks the Pi: our daemon, or Nix itself.

import { stat } from "node:fs/promises";
import { makePrivateNix, type NixVersion, type PrivateNix } from "../../test/support/private-nix.js";
import {
  cacheTable,
  makeDaemonHome,
  type DaemonHome,
  type RunningDaemon,
} from "../../test/support/daemon.js";
import { repositoryFile } from "../../test/support/repository.js";
import type { Scope } from "../scope.js";
import { piHost, type Pi } from "./pi.js";

export interface Laptop {
  readonly nix: PrivateNix;
  /** Runs a script whose Nix commands go through the nix-daemon; resolves to the seconds that it took. */
  time(script: string): Promise<number>;
  /** The same, without anybody looking at the clock. */
  run(script: string): Promise<string>;
}

/** A laptop that trusts the Pi's key and whose ssh knows it by this file. Its store and all of Nix's memories are empty. */
export async function makeLaptop(
  scope: Scope,
  version: NixVersion,
  pi: Pi,
  sshConfig: string,
): Promise<Laptop> {
  const conf = (): string =>
    `experimental-features = nix-command\ntrusted-public-keys = ${pi.publicKey}\nmax-jobs = auto`;
  const nix = await scope.add(makePrivateNix(version, conf, { NIX_SSHOPTS: `-F ${sshConfig}` }));
  const socket = await nix.listen();
  const prefix = `export NIX_REMOTE=daemon NIX_DAEMON_SOCKET_PATH=${socket}\n`;
  // So that the daemon's first worker makes its database before anybody looks at the clock.
  await nix.run(`${prefix}nix-store -q --hash /nix/store/${"0".repeat(32)}-none 2>/dev/null || :`);
  const run = async (script: string): Promise<string> => (await nix.run(prefix + script)).stdout;
  return {
    nix,
    run,
    time: async (script) => {
      const began = performance.now();
      await run(script);
      return (performance.now() - began) / 1000;
    },
  };
}

/** Our daemon, as a laptop's user runs it. */
export interface Tether {
  readonly home: DaemonHome;
  readonly daemon: RunningDaemon;
  /** What the override lists. */
  readonly urls: readonly string[];
  /** The first of it. */
  readonly url: string;
}

export interface TetherOptions {
  /** Nobody is found, and so nobody is listed. */
  readonly away?: boolean;
  /** A folder for CPU profiles, written when it ends. */
  readonly profiles?: string | null;
  /** Further caches: their names, with the ports of sshd. */
  readonly others?: Readonly<Record<string, number>>;
  /** Those of them that are not found. */
  readonly othersAway?: readonly string[];
  /** Of the environment. */
  readonly env?: NodeJS.ProcessEnv;
  /** The Pi's name or address. */
  readonly host?: string;
  /** Further tables of the configuration. */
  readonly config?: string;
}

/** Starts our daemon; resolves when it lists what is to be found. */
export async function startTether(
  scope: Scope,
  laptop: Laptop,
  pi: Pi,
  port: number,
  options: TetherOptions = {},
): Promise<Tether> {
  const program = repositoryFile("dist/main.js");
  await stat(program);
  const { profiles = null, others = {}, othersAway = [], away = false } = options;
  const home = await makeDaemonHome(program, {
    nodeFlags: profiles === null ? [] : ["--cpu-prof", `--cpu-prof-dir=${profiles}`],
    env: {
      ...options.env,
      PATH: `${laptop.nix.env["PATH"]}`,
      NIX_STATE_DIR: `${laptop.nix.env["NIX_STATE_DIR"]}`,
      NIX_TETHER_LOG: "info",
    },
  });
  await scope.add(home);
  const settings = {
    host: options.host ?? "127.0.0.1",
    user: "root",
    "identity-file": pi.key.file,
    "known-hosts": pi.knownHosts,
    "remote-socket": pi.daemonSocket,
  };
  const ports = Object.entries({ pi: port, ...others });
  const tables = ports.map(([name, at]) => cacheTable(name, { ...settings, port: at }));
  await home.configure([...tables, options.config ?? ""].join(""));
  const daemon = home.start();
  // Ends in order, so that its profile is written.
  await scope.add({
    dispose: async () => {
      daemon.kill("SIGTERM");
      await daemon.ended;
    },
  });
  const found = ports.map(([name]) => name).filter((name) => !away && !othersAway.includes(name));
  const listed = await home.untilListed(found.toSorted(), 20_000);
  return { home, daemon, urls: listed.map(({ url }) => url), url: listed[0]?.url ?? "" };
}

/** How Nix is told of the Pi: `-tether` once our daemon lists it. */
export type Way = "nix-tether" | "ssh-ng" | "nginx";

/** The substituter for that way; for ours a daemon is started first. */
export async function substituterOf(
  way: Way,
  ports: { readonly ssh: number; readonly http: number },
  startOurs: (sshPort: number) => Promise<Tether>,
): Promise<{ readonly url: string; readonly tether: Tether | null }> {
  switch (way) {
    case "nix-tether": {
      const tether = await startOurs(ports.ssh);
      return { url: tether.url, tether };
    }
    case "ssh-ng":
      return { url: `ssh-ng://${piHost}`, tether: null };
    case "nginx":
      return { url: `http://127.0.0.1:${ports.http}`, tether: null };
  }
}
