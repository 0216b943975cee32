// The compiled daemon as a child process, in folders of its own, with no bus and no ssh-agent but what a test gives it.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, chown, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CacheStatus, StatusReport } from "../../src/control/messages.js";
import { eventually } from "./eventually.js";
import { freePort } from "./sshd.js";

/** How a program ended and what it said. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A cache as the override lists it. */
export interface Listed {
  readonly name: string;
  readonly url: string;
}

/** A running `nix-tether run`. */
export interface RunningDaemon {
  readonly pid: number;
  /** Everything it has said so far. */
  said(): string;
  kill(signal: NodeJS.Signals): void;
  /** Resolves when it has ended; `code` is null after a signal that it did not handle. */
  readonly ended: Promise<Ended>;
}

/** A user's folders, and the program run in them. */
export interface DaemonHome {
  readonly dir: string;
  /** The port that `configure` gives the gateway. */
  readonly port: number;
  readonly overrideFile: string;
  readonly runtimeDir: string;
  /** What runs the program here, and in which environment. */
  readonly argv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** The local end of a cache's forward. */
  socket(cache: string): string;
  /** Everything that the programs run here have said so far. */
  said(): string;
  /** Writes config.toml: the gateway's port, and the given tables. */
  configure(caches: string): Promise<void>;
  start(): RunningDaemon;
  /** Starts a command. */
  launch(...args: string[]): RunningDaemon;
  /** Runs a command to its end. */
  run(...args: string[]): Promise<Ended>;
  status(): Promise<StatusReport>;
  cache(name: string): Promise<CacheStatus>;
  /** What the override lists now; nothing where there is none. */
  listed(): Promise<Listed[]>;
  /** Waits until exactly these caches are listed. */
  untilListed(names: readonly string[], ms?: number): Promise<Listed[]>;
  /** Kills what still runs, and removes the folders. */
  dispose(): Promise<void>;
}

/** See `makeDaemonHome`. */
export interface DaemonHomeOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Whose the folders are, and who runs the program; default: this process's user. */
  readonly uid?: number;
  /** Options of Node itself. */
  readonly nodeFlags?: readonly string[];
}

/** Makes the folders for `program`, a compiled `main.js`. */
export async function makeDaemonHome(program: string, options: DaemonHomeOptions = {}): Promise<DaemonHome> {
  const { uid, nodeFlags = [] } = options;
  const dir = await mkdtemp(join(tmpdir(), "nix-tether-home-"));
  const port = await freePort();
  const overrideFile = join(dir, "config", "nix", "nix-tether.conf");
  const runtimeDir = join(dir, "run", "nix-tether");
  const env: NodeJS.ProcessEnv = {
    PATH: process.env["PATH"],
    HOME: dir,
    XDG_CONFIG_HOME: join(dir, "config"),
    XDG_STATE_HOME: join(dir, "state"),
    XDG_RUNTIME_DIR: join(dir, "run"),
    // Neither the machine's bus nor the session's: what happens on this machine is no part of a test.
    DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${join(dir, "no-bus")}`,
    DBUS_SESSION_BUS_ADDRESS: `unix:path=${join(dir, "no-bus")}`,
    NIX_TETHER_LOG: "debug",
    ...options.env,
  };
  await mkdir(join(dir, "config", "nix"), { recursive: true });
  await mkdir(join(dir, "config", "nix-tether"));
  await mkdir(join(dir, "run"), { mode: 0o700 });
  await writeFile(join(dir, "config", "nix", "nix.conf"), "!include nix-tether.conf\n");
  const own = async (): Promise<void> => {
    if (uid === undefined) return;
    await chmod(dir, 0o755);
    for (const entry of ["", ...(await readdir(dir, { recursive: true }))]) {
      await chown(join(dir, entry), uid, uid);
    }
  };
  await own();

  let transcript = "";
  const running = new Set<ChildProcess>();
  const launch = (args: readonly string[]): RunningDaemon => {
    const child = spawn(process.execPath, [...nodeFlags, program, ...args], {
      env,
      cwd: dir,
      stdio: ["ignore", "pipe", "pipe"],
      ...(uid === undefined ? {} : { uid, gid: uid }),
    });
    running.add(child);
    const said = { stdout: "", stderr: "" };
    child.on("error", (error) => (said.stderr += error.message));
    for (const name of ["stdout", "stderr"] as const) {
      child[name].on("error", () => undefined);
      child[name].on("data", (chunk: Buffer) => {
        said[name] += chunk.toString();
        transcript += chunk.toString();
      });
    }
    const ended = once(child, "close").then(([code]): Ended => {
      running.delete(child);
      return { code: code as number | null, ...said };
    });
    return {
      pid: Number(child.pid),
      said: () => said.stdout + said.stderr,
      kill: (signal) => void child.kill(signal),
      ended,
    };
  };

  const run = (...args: string[]): Promise<Ended> => launch(args).ended;
  const status = async (): Promise<StatusReport> => {
    const { stdout, stderr } = await run("status", "--json");
    if (stdout === "") throw new Error(`status said nothing: ${stderr}`);
    return JSON.parse(stdout) as StatusReport;
  };
  const listed = async (): Promise<Listed[]> => {
    const text = await readFile(overrideFile, "utf8").catch(() => "");
    const urls = /^extra-substituters = (.*)$/m.exec(text)?.[1]?.split(" ") ?? [];
    return urls.map((url) => ({ url, name: new URL(url).pathname.split("/")[1] ?? "" }));
  };
  return {
    dir,
    port,
    overrideFile,
    runtimeDir,
    argv: [process.execPath, ...nodeFlags, program],
    env,
    socket: (cache) => join(runtimeDir, `${cache}.sock`),
    said: () => transcript,
    configure: async (caches) => {
      await writeFile(
        join(dir, "config", "nix-tether", "config.toml"),
        `[gateway]\nport = ${port}\n${caches}`,
      );
      await own();
    },
    start: () => launch(["run"]),
    launch: (...args) => launch(args),
    run,
    status,
    cache: async (name) => {
      const found = (await status()).caches[name];
      if (found === undefined) throw new Error(`status has no cache ${name}`);
      return found;
    },
    listed,
    untilListed: async (names, ms = 15_000) => {
      const wanted = names.join();
      const fits = async (): Promise<boolean> =>
        (await listed())
          .map(({ name }) => name)
          .toSorted()
          .join() === wanted;
      await eventually(`the override lists ${wanted || "nothing"}`, fits, ms).catch((error: unknown) => {
        throw new Error(`${String(error)}\n${transcript.slice(-3_000)}`);
      });
      return listed();
    },
    dispose: async () => {
      const ends = [...running].map((child) => once(child, "close"));
      for (const child of running) child.kill("SIGKILL");
      await Promise.all(ends);
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** A cache's table for `configure`. */
export function cacheTable(name: string, settings: Readonly<Record<string, unknown>>): string {
  const lines = Object.entries(settings).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`);
  return `[caches.${name}]\n${lines.join("")}`;
}
