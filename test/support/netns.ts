// Network namespaces for integration tests: made as root, joined by virtual cables, and removed with all that
// runs in them.

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { promisify } from "node:util";

const run = promisify(execFile);

/** One network namespace: a "machine" as far as the network is concerned. */
export interface Namespace {
  readonly name: string;
  /** Runs `ip ARGS` for this namespace (`ip -n NAME ...`) and returns its output. */
  ip(...args: string[]): Promise<string>;
  /** Runs a program inside to its end and returns its standard output; rejects when it fails. */
  exec(command: string, ...args: string[]): Promise<string>;
  /** Starts a program inside. It is killed by `remove` if it still runs then. */
  spawn(command: string, ...args: string[]): ChildProcess;
  /** Kills what `spawn` started and deletes the namespace. */
  remove(): Promise<void>;
}

/** One end of a cable: the device's name in its namespace and its addresses with prefix lengths. */
export interface CableEnd {
  readonly namespace: Namespace;
  readonly device: string;
  readonly addresses?: readonly string[];
  /** A fixed hardware address; random when left out. */
  readonly mac?: string;
}

let counter = 0;

/**
 * Makes a namespace with only a loopback device (up unless `loopback` is false). The name is unique to this
 * process.
 */
export async function createNamespace(
  label: string,
  options: { readonly loopback?: boolean } = {},
): Promise<Namespace> {
  counter += 1;
  const name = `${label}-${process.pid}-${counter}`;
  await run("ip", ["netns", "add", name]);
  if (options.loopback !== false) await run("ip", ["-n", name, "link", "set", "lo", "up"]);
  const children = new Set<ChildProcess>();
  return {
    name,
    ip: async (...args) => (await run("ip", ["-n", name, ...args])).stdout,
    exec: async (command, ...args) => (await run("ip", ["netns", "exec", name, command, ...args])).stdout,
    spawn: (command, ...args) => {
      const child = spawn("ip", ["netns", "exec", name, command, ...args], {
        stdio: ["pipe", "pipe", "pipe"],
      });
      child.on("error", () => children.delete(child));
      child.once("exit", () => children.delete(child));
      child.stdin?.on("error", () => undefined);
      children.add(child);
      return child;
    },
    remove: async () => {
      await Promise.all([...children].map((child) => stopChild(child, "SIGKILL")));
      await run("ip", ["netns", "delete", name]);
    },
  };
}

/** Sends a signal and waits until the child has ended. */
export async function stopChild(child: ChildProcess, signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill(signal);
  await ended;
}

/**
 * Joins two namespaces by a veth pair, both ends up, without waiting for IPv6 duplicate address detection.
 */
export async function connectCable(left: CableEnd, right: CableEnd): Promise<void> {
  const peer = ["peer", "name", right.device, "netns", right.namespace.name];
  await left.namespace.ip("link", "add", left.device, "type", "veth", ...peer);
  for (const end of [left, right]) {
    if (end.mac !== undefined) await end.namespace.ip("link", "set", end.device, "address", end.mac);
    for (const address of end.addresses ?? []) {
      await end.namespace.ip("address", "add", address, "dev", end.device);
    }
  }
  for (const end of [left, right]) await end.namespace.ip("link", "set", end.device, "up");
}

/** Deletes the cable that ends in this device, with both its ends. */
export async function removeCable(end: CableEnd): Promise<void> {
  await end.namespace.ip("link", "delete", end.device);
}

/** Waits until every IPv6 address of the namespace has passed duplicate address detection. */
export async function settleIpv6(namespace: Namespace): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    if ((await namespace.ip("-6", "address", "show", "tentative")).trim() === "") return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`IPv6 addresses in ${namespace.name} stay tentative`);
}
