// What the network watch listens to, for real: a private message bus, NetworkManager and logind on it, and the
// watch itself compiled and run inside a namespace.

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import type { NamedConnection } from "../../src/sources/netmon.js";
import { type Namespace, stopChild } from "./netns.js";

const run = promisify(execFile);
const repository = resolve(import.meta.dirname, "../..");

/** A line that the runner printed: an event, a `started` or `closed`, or an object with a `log` entry. */
export interface Line {
  readonly type?: string;
  readonly at?: number;
  readonly cause?: string;
  readonly changed?: boolean;
  readonly moved?: boolean;
  readonly pid?: number;
  readonly watching?: readonly string[];
  readonly state?: {
    readonly interfaces: readonly {
      readonly name: string;
      readonly carrier: boolean;
      readonly addresses: readonly string[];
      readonly gateways: readonly string[];
    }[];
  };
  readonly connections?: readonly NamedConnection[] | null;
  readonly log?: Readonly<Record<string, unknown>>;
}

/** The watch, running in a namespace. */
export interface Watch {
  /** Everything printed so far. */
  readonly lines: readonly Line[];
  readonly child: ChildProcess;
  /** The first line from index `from` on that fits; rejects with everything printed after `ms` milliseconds. */
  next(fits: (line: Line) => boolean, options?: { from?: number; ms?: number }): Promise<Line>;
  send(command: "done" | "state"): void;
  /** Closes stdin and resolves with the exit code. */
  finish(): Promise<number | null>;
}

/** Compiles the watch into a new temporary folder and returns it. */
export async function buildRunner(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "netmon-build-"));
  await symlink(join(repository, "node_modules"), join(folder, "node_modules"));
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
  const config = {
    extends: join(repository, "tsconfig.json"),
    compilerOptions: { rootDir: repository, outDir: folder, noCheck: true, sourceMap: false },
    files: [join(repository, "test/support/netmon-runner.ts")],
  };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify(config));
  await run(join(repository, "node_modules/.bin/tsc"), ["-p", folder]);
  return folder;
}

/** Starts the watch inside the namespace, on the bus at this address; with `names` it asks for those of connections. */
export function startWatch(
  namespace: Namespace,
  build: string,
  busAddress: string,
  ...names: "names"[]
): Watch {
  const runner = join(build, "test/support/netmon-runner.js");
  const child = namespace.spawn(process.execPath, runner, busAddress, ...names);
  const lines: Line[] = [];
  const waiting = new Set<() => void>();
  const exited = once(child, "exit");
  child.stderr?.on("data", (text: Buffer) => lines.push({ log: { stderr: text.toString() } }));
  createInterface({ input: child.stdout! }).on("line", (line) => {
    lines.push(JSON.parse(line) as Line);
    for (const check of waiting) check();
  });
  return {
    lines,
    child,
    next: (fits, { from = 0, ms = 10_000 } = {}) =>
      new Promise((resolveLine, reject) => {
        const check = (): void => {
          const line = lines.slice(from).find(fits);
          if (line === undefined) return;
          clearTimeout(timer);
          waiting.delete(check);
          resolveLine(line);
        };
        const timer = setTimeout(() => {
          waiting.delete(check);
          const seen = lines.map((line) => JSON.stringify(line)).join("\n");
          reject(new Error(`not seen within ${ms} ms; seen:\n${seen}`));
        }, ms);
        waiting.add(check);
        check();
      }),
    send: (command) => void child.stdin?.write(`${command}\n`),
    async finish() {
      child.stdin?.end();
      await exited;
      return child.exitCode;
    },
  };
}

/** A message bus of our own that lets everybody own and send everything. */
export interface PrivateBus {
  readonly address: string;
  /** Starts it (again) at the same address. */
  start(): Promise<void>;
  /** Kills it outright. */
  kill(): Promise<void>;
  remove(): Promise<void>;
}

/** Makes and starts a bus. `limits` is raw configuration, such as a `<limit>` element. */
export async function createBus(limits = ""): Promise<PrivateBus> {
  const folder = await mkdtemp(join(tmpdir(), "netmon-bus-"));
  await chmod(folder, 0o755); // networkd connects as a user of its own
  const socket = join(folder, "bus");
  const address = `unix:path=${socket}`;
  const config = join(folder, "bus.conf");
  await writeFile(
    config,
    `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><listen>${address}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/>
<allow send_type="signal"/><allow receive_sender="*"/><allow eavesdrop="false"/></policy>${limits}</busconfig>`,
  );
  let daemon: ChildProcess | null = null;
  const kill = async (): Promise<void> => {
    if (daemon !== null) await stopChild(daemon, "SIGKILL");
    daemon = null;
  };
  const start = async (): Promise<void> => {
    await rm(socket, { force: true });
    const child = spawn(
      "dbus-daemon",
      ["--nofork", "--nopidfile", "--print-address", `--config-file=${config}`],
      {
        stdio: ["ignore", "pipe", "ignore"],
      },
    );
    daemon = child;
    await Promise.race([
      once(child.stdout, "data"),
      once(child, "exit").then(() => Promise.reject(new Error("dbus-daemon ended at once"))),
    ]);
  };
  await start();
  return {
    address,
    start,
    kill,
    async remove() {
      await kill();
      await rm(folder, { recursive: true });
    },
  };
}

/** Starts a shell script in the namespace with mounts of its own and an empty /run, attached to this bus. */
function spawnInside(namespace: Namespace, bus: PrivateBus, script: string): ChildProcess {
  const shell = `set -e; mount -t tmpfs -o mode=755 tmpfs /run; ${script}`;
  const bindings = ["env", `DBUS_SYSTEM_BUS_ADDRESS=${bus.address}`];
  const mounts = ["--mount", "--propagation", "private"];
  const child = namespace.spawn("unshare", ...mounts, ...bindings, "/bin/sh", "-c", shell);
  child.stdout?.resume();
  child.stderr?.resume();
  return child;
}

/** Starts a real NetworkManager that owns `device` with this address (with prefix length), and waits until it is up. */
export async function startNetworkManager(
  namespace: Namespace,
  bus: PrivateBus,
  device: string,
  address: string,
): Promise<ChildProcess> {
  const folder = await mkdtemp(join(tmpdir(), "netmon-nm-"));
  const connections = join(folder, "system-connections");
  await mkdir(connections);
  await writeFile(
    join(folder, "NetworkManager.conf"),
    `[main]\nplugins=keyfile\nauth-polkit=false\ndns=none\n[device-lab]\nmatch-device=interface-name:${device}\nmanaged=1\n[connectivity]\nenabled=false\n`,
  );
  await writeFile(
    join(connections, "lab.nmconnection"),
    `[connection]\nid=lab\ntype=ethernet\ninterface-name=${device}\nuuid=11111111-1111-4111-8111-111111111111\n[ipv4]\nmethod=manual\naddress1=${address}\n[ipv6]\nmethod=link-local\n`,
    { mode: 0o600 },
  );
  // While /sys is writable and no udev runs, NetworkManager leaves every device unmanaged.
  const child = spawnInside(
    namespace,
    bus,
    `mkdir /run/NetworkManager; mount --bind ${folder} /etc/NetworkManager
     mount -t tmpfs tmpfs /var/lib/NetworkManager; mount -o remount,bind,ro /sys
     exec NetworkManager --no-daemon`,
  );
  child.once("exit", () => void rm(folder, { recursive: true, force: true }));
  const plain = address.replace(/\/.*/, "");
  for (let attempt = 0; attempt < 150; attempt += 1) {
    if ((await namespace.ip("-4", "address", "show", "dev", device)).includes(plain)) return child;
    if (child.exitCode !== null) break;
    await new Promise((resolveWait) => setTimeout(resolveWait, 100));
  }
  throw new Error("NetworkManager did not bring the device up");
}

/** Starts a real systemd-networkd that owns `device` with this address (with prefix length). */
export function startNetworkd(
  namespace: Namespace,
  bus: PrivateBus,
  device: string,
  address: string,
): ChildProcess {
  // A read-only /sys tells networkd, too, that there is no udev to wait for.
  return spawnInside(
    namespace,
    bus,
    `mkdir -p /run/systemd/network /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp
     printf '[Match]\\nName=${device}\\n[Network]\\nAddress=${address}\\nIPv6AcceptRA=no\\n' > /run/systemd/network/10-lab.network
     chown -R systemd-network: /run/systemd/netif; mount -o remount,bind,ro /sys
     exec /lib/systemd/systemd-networkd`,
  );
}

/** Starts a real logind that believes the kernel can suspend. It has no seats and no sessions. */
export function startLogind(namespace: Namespace, bus: PrivateBus): ChildProcess {
  return spawnInside(
    namespace,
    bus,
    `mkdir -p /run/power /run/cgroup /run/systemd/seats /run/systemd/users /run/systemd/sessions /run/systemd/inhibit
     echo freeze mem > /run/power/state; echo 's2idle [deep]' > /run/power/mem_sleep
     mount --rbind /sys/fs/cgroup /run/cgroup; mount -t tmpfs tmpfs /sys
     mkdir -p /sys/fs/cgroup /sys/power; mount --rbind /run/cgroup /sys/fs/cgroup; mount --bind /run/power /sys/power
     exec /lib/systemd/systemd-logind`,
  );
}

/** The delay locks that logind knows of, one line each. */
export async function listLocks(bus: PrivateBus): Promise<string[]> {
  const env = { ...process.env, DBUS_SYSTEM_BUS_ADDRESS: bus.address };
  const { stdout } = await run("systemd-inhibit", ["--list", "--no-legend", "--no-pager"], { env });
  return stdout.split("\n").filter((line) => line.includes(" sleep "));
}
