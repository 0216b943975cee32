// A laptop with one cache: a home whose configuration names one machine, and the daemon in it, again and again.

import { writeFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { join } from "node:path";
import { askDaemon } from "../../src/control/client.js";
import type { CacheStatus, StatusReport } from "../../src/control/messages.js";
import { cacheTable, makeDaemonHome, type RunningDaemon } from "./daemon.js";
import type { Sshd, TestKey } from "./sshd.js";

export interface TetherHome {
  readonly dir: string;
  /** The gateway's port. */
  readonly port: number;
  readonly generationFile: string;
  readonly forwardSocket: string;
  /** Starts `nix-tether run`. */
  start(): void;
  /** Ends it by this signal and waits for its end. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** What the program has written since `start`. */
  log(): string;
  /** The URL that the override lists at this moment, or null. */
  listed(): Promise<string | null>;
  /** The URL when one is listed first. */
  untilListed(): Promise<string>;
  /** `status`, or what was the answer to pausing and resuming the cache. */
  command(command: "status" | "pause" | "resume"): Promise<StatusReport>;
  cache(): Promise<CacheStatus>;
  /** Ends the program and removes the folder. */
  dispose(): Promise<void>;
}

/** A home for the cache `pi`: the nix-daemon at `daemonSocket`, behind `sshd`. `main` is the compiled program. */
export async function makeTetherHome(options: {
  readonly main: string;
  readonly sshd: Sshd;
  readonly key: TestKey;
  readonly daemonSocket: string;
  /** Options of Node itself. */
  readonly nodeFlags?: readonly string[];
}): Promise<TetherHome> {
  const { main, sshd, key, nodeFlags = [] } = options;
  const home = await makeDaemonHome(main, { nodeFlags });
  const { dir } = home;
  await writeFile(join(dir, "known_hosts"), `${sshd.knownHostsLine(sshd.address)}\n`);
  const settings = {
    host: sshd.address,
    port: sshd.port,
    user: userInfo().username,
    "identity-file": key.file,
    "known-hosts": join(dir, "known_hosts"),
    "remote-socket": options.daemonSocket,
  };
  await home.configure(cacheTable("pi", settings));
  let daemon: RunningDaemon | null = null;

  const command = async (name: "status" | "pause" | "resume"): Promise<StatusReport> => {
    const request = name === "status" ? { command: name } : { command: name, cache: "pi" };
    const reply = await askDaemon(join(home.runtimeDir, "control.sock"), request, { timeoutMs: 10_000 });
    if (!reply.ok) throw new Error(reply.message);
    return reply.status;
  };
  return {
    dir,
    port: home.port,
    generationFile: join(dir, "state/nix-tether/generations.json"),
    forwardSocket: home.socket("pi"),
    start: () => {
      daemon = home.start();
    },
    stop: async (signal = "SIGTERM") => {
      daemon?.kill(signal);
      await daemon?.ended;
    },
    log: () => daemon?.said() ?? "",
    listed: async () => (await home.listed())[0]?.url ?? null,
    untilListed: async () => (await home.untilListed(["pi"], 20_000))[0]?.url ?? "",
    command,
    cache: async () => {
      const cache = (await command("status")).caches["pi"];
      if (cache === undefined) throw new Error("the program knows of no cache pi");
      return cache;
    },
    dispose: () => home.dispose(),
  };
}
