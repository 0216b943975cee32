// A laptop in a temporary folder: a home with a configuration for one machine, and the program as a child process in it.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { askDaemon } from "../../src/control/client.js";
import type { CacheStatus, StatusReport } from "../../src/control/messages.js";
import { eventually } from "./eventually.js";
import { freePort, type Sshd, type TestKey } from "./sshd.js";

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
  const { main, sshd, key } = options;
  const dir = await mkdtemp(join(tmpdir(), "nix-tether-home-"));
  const port = await freePort();
  const config = join(dir, "config", "nix-tether");
  await mkdir(config, { recursive: true });
  await mkdir(join(dir, "run"), { mode: 0o700 });
  await writeFile(join(dir, "known_hosts"), `${sshd.knownHostsLine(sshd.address)}\n`);
  const text = JSON.stringify;
  await writeFile(
    join(config, "config.toml"),
    `[gateway]
port = ${port}
[caches.pi]
host = ${text(sshd.address)}
port = ${sshd.port}
user = ${text(userInfo().username)}
identity-file = ${text(key.file)}
known-hosts = ${text(join(dir, "known_hosts"))}
remote-socket = ${text(options.daemonSocket)}
`,
  );
  const env: NodeJS.ProcessEnv = {
    PATH: process.env["PATH"],
    HOME: dir,
    XDG_CONFIG_HOME: join(dir, "config"),
    XDG_STATE_HOME: join(dir, "state"),
    XDG_RUNTIME_DIR: join(dir, "run"),
    DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${join(dir, "no-bus")}`,
    NIX_TETHER_LOG: "debug",
  };
  let child: ChildProcess | null = null;
  let log = "";

  const stop = async (signal: NodeJS.Signals = "SIGTERM"): Promise<void> => {
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    child.kill(signal);
    await exit;
  };
  const listed = async (): Promise<string | null> => {
    const content = await readFile(join(dir, "config/nix/nix-tether.conf"), "utf8").catch(() => "");
    return /^extra-substituters = (\S+)$/m.exec(content)?.[1] ?? null;
  };
  const command = async (name: "status" | "pause" | "resume"): Promise<StatusReport> => {
    const request = name === "status" ? { command: name } : { command: name, cache: "pi" };
    const socket = join(dir, "run/nix-tether/control.sock");
    const reply = await askDaemon(socket, request, { timeoutMs: 10_000 });
    if (!reply.ok) throw new Error(reply.message);
    return reply.status;
  };
  return {
    dir,
    port,
    generationFile: join(dir, "state/nix-tether/generations.json"),
    forwardSocket: join(dir, "run/nix-tether/pi.sock"),
    start: () => {
      log = "";
      child = spawn(process.execPath, [...(options.nodeFlags ?? []), main, "run"], {
        env,
        stdio: ["ignore", "pipe", "pipe"],
      });
      child.on("error", (error) => (log += error.message));
      for (const stream of [child.stdout, child.stderr]) {
        stream?.on("error", () => undefined);
        stream?.on("data", (chunk: Buffer) => (log += chunk.toString()));
      }
    },
    stop,
    log: () => log,
    listed,
    untilListed: async () => {
      let url: string | null = null;
      const isListed = async (): Promise<boolean> => (url = await listed()) !== null;
      await eventually("the cache is listed", isListed, 20_000);
      return url ?? "";
    },
    command,
    cache: async () => {
      const cache = (await command("status")).caches["pi"];
      if (cache === undefined) throw new Error("the program knows of no cache pi");
      return cache;
    },
    dispose: async () => {
      await stop("SIGKILL");
      await rm(dir, { recursive: true, force: true });
    },
  };
}
