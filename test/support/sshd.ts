// OpenSSH's real sshd on a loopback address of its own, with throw-away host keys and authorized_keys, and a real
// ssh-agent. Everything lives in one temp folder and ends with `stop`.

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Types of host and user keys, as `ssh-keygen -t` names them. */
export type KeyType = "ed25519" | "ecdsa" | "rsa";

/** A key pair made for a test. */
export interface TestKey {
  /** The private key file; `<file>.pub` lies beside it. */
  readonly file: string;
  /** `<type> <base64> <comment>`, one line without its end. */
  readonly publicKey: string;
}

export interface SshdOptions {
  /** Host keys to make and offer; default `["ed25519"]`. */
  readonly hostKeyTypes?: readonly KeyType[];
  /** Lines of authorized_keys, options such as `command="…"` included. */
  readonly authorizedKeys?: readonly string[];
  /** Further lines of sshd_config; they come first, so they win. */
  readonly config?: readonly string[];
  /** Variables that every session gets. sshd's own environment is passed on to none. */
  readonly env?: NodeJS.ProcessEnv;
  /** Default 127.0.0.1. Any address of 127.0.0.0/8 works, which allows several machines on port 22. */
  readonly address?: string;
  /** Default: a free one. */
  readonly port?: number;
}

/** A running sshd. */
export interface Sshd {
  readonly address: string;
  readonly port: number;
  readonly dir: string;
  readonly hostKeys: readonly TestKey[];
  /** Lines for known_hosts under the given name (`[name]:port` unless the port is 22), one per host key. */
  knownHostsLine(name: string, type?: KeyType): string;
  /** What sshd has logged so far. */
  log(): string;
  /** Signals the listener and every session of it (SIGSTOP freezes the whole machine, as it were). */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** The commands of the processes that it has started and that still run, as `/proc/PID/comm` names them. */
  children(): Promise<string[]>;
  /** Kills what is left of it and starts it again, with the same port and keys. */
  restart(): Promise<void>;
  /** Ends sshd with all its sessions and removes the folder. */
  stop(): Promise<void>;
}

/** Makes a key pair in `dir`. A passphrase encrypts the private key. */
export async function makeKey(
  dir: string,
  name: string,
  options: { type?: KeyType; passphrase?: string } = {},
): Promise<TestKey> {
  const file = join(dir, name);
  const type = options.type ?? "ed25519";
  const bits = type === "rsa" ? ["-b", "2048"] : [];
  await run("ssh-keygen", [
    "-q",
    "-t",
    type,
    ...bits,
    "-N",
    options.passphrase ?? "",
    "-C",
    name,
    "-f",
    file,
  ]);
  return { file, publicKey: (await readFile(`${file}.pub`, "utf8")).trim() };
}

/** Starts sshd and waits until it listens. */
export async function startSshd(options: SshdOptions = {}): Promise<Sshd> {
  const dir = await mkdtemp(join(tmpdir(), "nix-tether-sshd-"));
  const address = options.address ?? "127.0.0.1";
  const port = options.port ?? (await freePort(address));
  const types = options.hostKeyTypes ?? ["ed25519"];
  const hostKeys = await Promise.all(types.map((type) => makeKey(dir, `host_${type}`, { type })));
  await writeFile(join(dir, "authorized_keys"), `${(options.authorizedKeys ?? []).join("\n")}\n`, {
    mode: 0o600,
  });
  const env = Object.entries(options.env ?? {}).filter(([, value]) => value !== undefined);
  const config = [
    ...(options.config ?? []),
    `ListenAddress ${address}:${port}`,
    ...hostKeys.map((key) => `HostKey ${key.file}`),
    `AuthorizedKeysFile ${join(dir, "authorized_keys")}`,
    "PidFile none",
    "UsePAM no",
    "UseDNS no",
    "StrictModes no",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "PermitRootLogin yes",
    "LogLevel VERBOSE",
    // sshd takes only the first SetEnv line.
    ...(env.length === 0 ? [] : [`SetEnv ${env.map(([name, value]) => `"${name}=${value}"`).join(" ")}`]),
  ];
  await writeFile(join(dir, "sshd_config"), `${config.join("\n")}\n`);
  if (process.getuid?.() === 0) await mkdir("/run/sshd", { recursive: true, mode: 0o755 });
  let log = "";
  let child = await launch(dir, (text) => (log += text));
  const kill = async (signal: NodeJS.Signals): Promise<void> => {
    if (hasEnded(child)) return;
    const pid = Number(child.pid);
    for (const id of [...(await descendants(pid)), pid]) signalProcess(id, signal);
  };
  const end = async (): Promise<void> => {
    await kill("SIGKILL");
    await untilExit(child);
  };
  return {
    address,
    port,
    dir,
    hostKeys,
    knownHostsLine: (name, type) => {
      const pattern = port === 22 ? name : `[${name}]:${port}`;
      const keys = hostKeys.filter((_, index) => type === undefined || types[index] === type);
      return keys.map((key) => `${pattern} ${key.publicKey.split(" ", 2).join(" ")}`).join("\n");
    },
    log: () => log,
    kill,
    children: async () => {
      const names = (await descendants(Number(child.pid))).map((id) => readFile(`/proc/${id}/comm`, "utf8"));
      const found = await Promise.allSettled(names);
      return found.flatMap((one) => (one.status === "fulfilled" ? [one.value.trim()] : []));
    },
    restart: async () => {
      await end();
      child = await launch(dir, (text) => (log += text));
    },
    stop: async () => {
      await end();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** Starts sshd with the configuration in `dir` and waits until it listens. */
async function launch(dir: string, onLog: (text: string) => void): Promise<ChildProcess> {
  let log = "";
  const add = (text: string): void => {
    log += text;
    onLog(text);
  };
  const child = spawn("/usr/sbin/sshd", ["-D", "-e", "-f", join(dir, "sshd_config")], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  child.on("error", (error) => add(`${error.message}\n`));
  child.stderr.on("error", () => undefined);
  child.stderr.on("data", (chunk: Buffer) => add(chunk.toString()));
  for (let tries = 0; !log.includes("Server listening on"); tries += 1) {
    if (tries > 500 || hasEnded(child)) throw new Error(`sshd did not start:\n${log}`);
    await sleep(10);
  }
  return child;
}

/** A running ssh-agent. */
export interface TestAgent {
  readonly socket: string;
  /** Adds an unencrypted private key; `-c` and such go into `options`. */
  add(file: string, ...options: string[]): Promise<void>;
  /** Removes all keys. */
  clear(): Promise<void>;
  lock(): Promise<void>;
  unlock(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts an ssh-agent that listens on `socket`. */
export async function startAgent(socket: string): Promise<TestAgent> {
  const askpass = `${socket}.askpass`;
  await writeFile(askpass, "#!/bin/sh\necho secret\n", { mode: 0o755 });
  const child = spawn("ssh-agent", ["-D", "-a", socket], {
    stdio: ["ignore", "pipe", "ignore"],
    // A key added with -c asks this program, and it refuses.
    env: { ...process.env, SSH_ASKPASS: "/bin/false", SSH_ASKPASS_REQUIRE: "force", DISPLAY: ":none" },
  });
  child.on("error", () => undefined);
  child.stdout.on("error", () => undefined);
  await once(child.stdout, "data");
  const sshAdd = async (...args: string[]): Promise<void> => {
    const env = {
      ...process.env,
      SSH_AUTH_SOCK: socket,
      SSH_ASKPASS: askpass,
      SSH_ASKPASS_REQUIRE: "force",
      DISPLAY: ":none",
    };
    await run("ssh-add", ["-q", ...args], { env });
  };
  return {
    socket,
    add: (file, ...options) => sshAdd(...options, file),
    clear: () => sshAdd("-D"),
    lock: () => sshAdd("-x"),
    unlock: () => sshAdd("-X"),
    stop: async () => {
      child.kill("SIGKILL");
      await untilExit(child);
      await rm(socket, { force: true });
      await rm(askpass, { force: true });
    },
  };
}

/**
 * A port that is free on `address` at this moment, and stays so but for another of these: it is none of those that the kernel
 * gives to whoever asks for any.
 */
export async function freePort(address = "127.0.0.1"): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_768);
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false)).listen(port, address, () => resolve(true));
    });
    if (!free) continue;
    server.close();
    await once(server, "close");
    return port;
  }
}

async function descendants(pid: number): Promise<number[]> {
  const path = `/proc/${pid}/task/${pid}/children`;
  const text = await readFile(path, "utf8").catch(() => "");
  const children = text.split(" ").filter(Boolean).map(Number);
  const deeper = await Promise.all(children.map(descendants));
  return [...deeper.flat(), ...children];
}

function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended by itself.
  }
}

async function untilExit(child: ChildProcess): Promise<void> {
  if (!hasEnded(child)) await once(child, "exit");
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
