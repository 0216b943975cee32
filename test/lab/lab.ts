// Drives the two-machine lab from a test: brings it up through lab.sh, runs commands in the machines, pulls cables.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { Readable } from "node:stream";
import { delay, withDeadline } from "../../src/util/abort.js";
import { repositoryFile } from "../support/repository.js";

const script = repositoryFile("test/lab/lab.sh");

// Two test files may run side by side, each with a lab of its own. lab.sh reads this too.
const worker = process.env["VITEST_POOL_ID"] ?? "1";
const number = (process.env["NIX_TETHER_LAB"] ??= worker === "1" ? "" : worker);

/** Where lab.sh keeps what belongs to this lab: `keys/` and more. */
export const labFolder = `/run/nix-tether-lab${number}`;

/** The name of a machine's network namespace. */
export function namespaceOf(host: Host): string {
  return `nix-tether${number}-${host}`;
}

/** How long another lab may go on before it is given up, in milliseconds: a bit more than lab.sh itself waits. */
const turnMs = 660_000;

/** How long both machines may take to come up, in milliseconds. */
const upMs = 90_000;

/** How long they may take to go, in milliseconds: an hour of chaos leaves a hundred thousand files. */
const downMs = 200_000;

/** 2.8 is the system's own; the newer ones come from Debian's later suites. */
export type NixVersion = "2.8" | "2.26" | "2.34";
export type Host = "laptop" | "pi";
/** Network namespaces: those of the machines, the switches', and that of a stranger in the café (10.88.0.1). */
export type Place = Host | "switch" | "stranger";
/** `home` and `cafe` mean plugged in there. Every lab begins with both cables at home. */
export type Cable = "up" | "down" | "home" | "cafe";

/** What a command in a machine did. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that goes on in a machine. */
export interface Running {
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Ends it; resolves when it is gone. */
  stop(): Promise<void>;
}

export interface RunOptions {
  /** After this many milliseconds the command is killed and reported with code 137 or 124. Default 60,000. */
  readonly timeoutMs?: number;
  /** Give back a failed command's outcome instead of throwing. */
  readonly mayFail?: boolean;
}

/** A lab that is up. One of each number at a time on a machine: `up` waits for another's end. */
export class Lab {
  readonly nix: NixVersion;
  readonly #holder: ChildProcess;

  private constructor(nix: NixVersion, holder: ChildProcess) {
    this.nix = nix;
    this.#holder = holder;
  }

  /** Brings the machines up, after fetching that Nix where it is not there yet. Some 2 s, both booted. */
  static async up(options: { nix: NixVersion }): Promise<Lab> {
    // The lab lives as long as our end of its stdin, so it also goes when this process is killed.
    const holder = spawn(script, ["hold", "--nix", options.nix], { stdio: ["pipe", "pipe", "pipe"] });
    const output = collect(holder);
    const said = (word: string): Promise<void> =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (output.stdout.split("\n").includes(word)) resolve();
        };
        look();
        holder.stdout.on("data", look);
        holder.once("error", reject);
        holder.once("close", () => reject(new Error(`the lab did not come up:\n${output.stderr}`)));
      });
    try {
      await withDeadline(said("locked"), turnMs, "waiting for another lab's end");
      await withDeadline(said("ready"), upMs, "bringing the lab up");
    } catch (error) {
      holder.stdin.end();
      throw error;
    }
    return new Lab(options.nix, holder);
  }

  /** Takes the lab away: machines, mounts, namespaces. Idempotent. */
  async down(): Promise<void> {
    if (this.#holder.exitCode !== null || this.#holder.signalCode !== null) return;
    const closed = once(this.#holder, "close");
    this.#holder.stdin?.end();
    await withDeadline(closed, downMs, "taking the lab down");
  }

  /** Runs a shell script as root. Throws when it fails, unless `mayFail`. */
  exec(host: Host, commands: string, options: RunOptions = {}): Promise<Outcome> {
    return run(["exec", host], commands, options);
  }

  /** Runs a shell script as `user` (laptop: dev, pi: pi), in their home and with their manager's environment. */
  user(host: Host, user: string, commands: string, options: RunOptions = {}): Promise<Outcome> {
    return run(["user", host, user], commands, options);
  }

  /** Runs a shell script as root on this machine, in one of the lab's networks. */
  net(place: Place, commands: string, options: RunOptions = {}): Promise<Outcome> {
    return run(["net", place], commands, options);
  }

  /**
   * Starts a shell script as root that goes on until it is stopped or the lab ends: in a machine, or at the stranger's,
   * which has a network of its own and nothing else.
   */
  start(place: Host | "stranger", commands: string): Running {
    // Killing the way in would leave the command behind, so its life hangs on our end of its stdin.
    const guarded = `{ ${commands}\n} </dev/null & read -r _; kill $!; wait $!`;
    const way = place === "stranger" ? "net" : "exec";
    const child = spawn(script, [way, place, "bash", "-c", guarded]);
    child.on("error", () => undefined);
    child.stdin.on("error", () => undefined);
    const closed = once(child, "close");
    const stop = async (): Promise<void> => {
      child.stdin.end();
      await withDeadline(closed, 10_000, `stopping ${commands}`);
    };
    return { stdout: child.stdout, stderr: child.stderr, stop };
  }

  /** Plugs, pulls or moves a machine's cable at the switch: that machine loses its carrier, the others see nothing. */
  async cable(host: Host | "stranger" | "wifi", state: Cable): Promise<void> {
    await finish(spawn(script, ["cable", host, state]), `cable ${host} ${state}`, {});
  }

  /** Limits what reaches a machine; `rate` as tc has it, such as `400mbit`. */
  async bandwidth(host: Host, rate: string): Promise<void> {
    await finish(spawn(script, ["bandwidth", host, rate]), `bandwidth ${host} ${rate}`, {});
  }

  /** `pi-1:…` or `laptop-1:…`, what that machine signs its builds with. */
  publicKey(host: Host): string {
    return readFileSync(`${labFolder}/keys/${host}.public`, "utf8").trim();
  }

  /**
   * Asks again and again until `probe` gives something other than undefined or false, and returns that. Exceptions of
   * the probe count as "not yet". The error after `timeoutMs` says what was last seen.
   */
  async waitFor<T>(
    what: string,
    probe: () => Promise<T | undefined | false>,
    timeoutMs = 10_000,
  ): Promise<T> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      let last: unknown;
      try {
        const value = await probe();
        if (value !== undefined && value !== false) return value;
        last = value;
      } catch (error) {
        last = error;
      }
      if (Date.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`, { cause: last });
      await delay(50);
    }
  }

  /** What is there of a lab with this number on this machine, one thing a line; empty after `down`. */
  static async leftovers(): Promise<string> {
    return (await finish(spawn(script, ["leftovers"]), "leftovers", {})).stdout;
  }
}

function run(where: string[], commands: string, options: RunOptions): Promise<Outcome> {
  // The limit is kept inside the machine: killing the way in would leave the command behind.
  const seconds = (options.timeoutMs ?? 60_000) / 1000;
  const limited = ["timeout", "-k", "2", String(seconds), "bash", "-c", commands];
  return finish(spawn(script, [...where, ...limited]), `${where.slice(1).join(" ")}: ${commands}`, options);
}

async function finish(child: ChildProcess, what: string, options: RunOptions): Promise<Outcome> {
  const output = collect(child);
  child.stdin?.end();
  const [code, signal] = (await once(child, "close")) as [number | null, string | null];
  const outcome = { code: code ?? 128, ...output };
  if (outcome.code !== 0 && options.mayFail !== true) {
    throw new Error(`${what}\nended with ${signal ?? outcome.code}\n${output.stdout}${output.stderr}`);
  }
  return outcome;
}

function collect(child: ChildProcess): { stdout: string; stderr: string } {
  const output = { stdout: "", stderr: "" };
  child.stdin?.on("error", () => undefined);
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (output.stdout += text));
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (output.stderr += text));
  return output;
}
