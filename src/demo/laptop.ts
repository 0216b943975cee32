// The other machine of the demo: a home folder with a configuration, and the real daemon as a child process in it.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { askDaemon } from "../control/client.js";
import type { CacheStatus } from "../control/messages.js";
import { delay, withDeadline } from "../util/abort.js";
import { TetherError } from "../util/errors.js";
import type { EmbeddedPi } from "./embedded-pi.js";
import { makeNixHome, type NixHome } from "./nix-tools.js";

/** How long the daemon may take to do what it promised, in milliseconds. Normally well under two seconds. */
const patienceMs = 20_000;
const pollMs = 10;

export interface Laptop {
  /** Nix as the user of this laptop runs it: its nix.conf includes what the daemon writes. */
  readonly nix: NixHome;
  /** Starts `nix-tether run`. */
  start(): void;
  /** Waits until the daemon says that it has found the machine. */
  found(signal: AbortSignal): Promise<void>;
  /** Waits until Nix is told of the cache and resolves to its URL, without the query. */
  listed(signal: AbortSignal): Promise<string>;
  /** Waits until Nix is told of no cache. */
  unlisted(signal: AbortSignal): Promise<void>;
  /** Whether Nix is told of the cache at this moment. */
  isListed(): Promise<boolean>;
  /** What `nix-tether status --json` says of the cache. */
  status(): Promise<CacheStatus>;
  /** Asks the daemon to stop, and resolves to its exit code, or null when it had to be killed or never ran. */
  stop(): Promise<number | null>;
  /** The last lines of the daemon's log. */
  log(): string;
}

/** Makes the laptop's home under `folder`, told to look for `host`, which is `pi`, with the private key `identity`. */
export async function makeLaptop(
  folder: string,
  options: {
    readonly pi: EmbeddedPi;
    readonly host: string;
    readonly identity: string;
    readonly publicKey: string;
    readonly path: string;
    /** The built `main.js`. */
    readonly main: string;
  },
): Promise<Laptop> {
  const { pi, host } = options;
  const nix = await makeNixHome(folder, {
    path: options.path,
    settings: [`trusted-public-keys = ${options.publicKey}`, "!include nix-tether.conf"],
  });
  const runtime = join(folder, "run");
  await mkdir(runtime, { mode: 0o700 });
  await mkdir(join(nix.configHome, "nix-tether"));
  const identityFile = join(folder, "id_ed25519");
  const knownHosts = join(folder, "known_hosts");
  await writeFile(identityFile, options.identity, { mode: 0o600 });
  await writeFile(knownHosts, pi.knownHostsLine(host));
  const text = JSON.stringify;
  await writeFile(
    join(nix.configHome, "nix-tether", "config.toml"),
    `[gateway]
port = ${await freePort()}

[caches.pi]
host = ${text(host)}
port = ${pi.port}
user = "demo"
identity-file = ${text(identityFile)}
known-hosts = ${text(knownHosts)}
`,
  );
  const env: NodeJS.ProcessEnv = {
    ...nix.env,
    XDG_RUNTIME_DIR: runtime,
    // The daemon would hold a sleep lock and watch NetworkManager; the demo leaves the system's bus alone.
    DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${join(runtime, "no-bus")}`,
  };
  const override = join(nix.configHome, "nix", "nix-tether.conf");
  const lines: string[] = [];
  let daemon: ChildProcess | null = null;

  const wait = async (what: string, signal: AbortSignal, met: () => Promise<boolean>): Promise<void> => {
    const until = Date.now() + patienceMs;
    while (!(await met())) {
      if (daemon === null || hasEnded(daemon)) throw failed("the daemon has ended");
      if (Date.now() > until) throw failed(`${what} did not happen within ${patienceMs / 1000} s`);
      await delay(pollMs, signal);
    }
  };
  const listedUrl = async (): Promise<string | null> => {
    const content = await readFile(override, "utf8").catch(() => "");
    return /^extra-substituters = (\S+?)(\?\S*)?$/m.exec(content)?.[1] ?? null;
  };

  const status = async (): Promise<CacheStatus> => {
    const socket = join(runtime, "nix-tether", "control.sock");
    const reply = await askDaemon(socket, { command: "status" }, { timeoutMs: 5_000 });
    const cache = reply.ok ? reply.status.caches["pi"] : undefined;
    if (cache === undefined) throw failed("the daemon does not know the cache");
    return cache;
  };

  return {
    nix,
    start: () => {
      daemon = spawn(process.execPath, [options.main, "run"], { env, stdio: ["ignore", "pipe", "pipe"] });
      daemon.on("error", (error) => lines.push(error.message));
      const keep = (chunk: Buffer): void => {
        lines.push(...chunk.toString().split("\n").filter(Boolean));
        lines.splice(0, lines.length - 20);
      };
      for (const stream of [daemon.stdout, daemon.stderr]) stream?.on("data", keep).on("error", () => {});
    },
    found: (signal) =>
      wait("finding the machine", signal, async () => {
        // While it starts it has no socket yet, or no answer.
        const state = await status().then(
          (cache) => cache.state,
          () => "offline",
        );
        return state !== "offline";
      }),
    listed: async (signal) => {
      let url: string | null = null;
      await wait("listing the cache", signal, async () => (url = await listedUrl()) !== null);
      return url ?? "";
    },
    unlisted: (signal) => wait("unlisting the cache", signal, async () => (await listedUrl()) === null),
    isListed: async () => (await listedUrl()) !== null,
    status,
    stop: () => stopped(daemon),
    log: () => lines.join("\n"),
  };
}

async function stopped(daemon: ChildProcess | null): Promise<number | null> {
  if (daemon === null || hasEnded(daemon)) return daemon?.exitCode ?? null;
  const exit = once(daemon, "exit");
  daemon.kill("SIGTERM");
  try {
    await withDeadline(exit, 8_000, "stopping the daemon");
  } catch {
    daemon.kill("SIGKILL");
    await exit;
  }
  return daemon.exitCode;
}

function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
}

function failed(message: string): TetherError {
  return new TetherError("demo-failed", message);
}

/** A port that nothing listens on now; the kernel does not give it out again soon. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw failed("no free port");
  return address.port;
}
