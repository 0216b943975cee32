// The machine that the numbers are from, without its name.

import { execFile } from "node:child_process";
import { cpus, loadavg, release, totalmem, type } from "node:os";
import { promisify } from "node:util";
import { nixBin, type NixVersion } from "../test/support/private-nix.js";

const run = promisify(execFile);

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGB: number;
  readonly kernel: string;
  readonly node: string;
  readonly openssh: string;
  readonly nginx: string;
  readonly nix: readonly string[];
  /** Whether the daemon has ssh2's native cipher code. */
  readonly nativeCiphers: boolean;
}

export async function readMachine(versions: readonly NixVersion[]): Promise<Machine> {
  const [cpu] = cpus();
  const nix = versions.map((version) =>
    said(`${nixBin(version).slice(0, -1) || "/usr/bin"}/nix`, "--version"),
  );
  return {
    cpu: cpu?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryGB: Math.round(totalmem() / 1e9),
    kernel: `${type()} ${release().replace(/^(\d+\.\d+).*/, "$1")}`,
    node: process.version.slice(1),
    openssh: /OpenSSH_(\S+?),?\s/.exec(`${await said("ssh", "-V")} `)?.[1] ?? "none",
    nginx: /nginx\/(\S+)/.exec(await said("nginx", "-v"))?.[1] ?? "none",
    nix: (await Promise.all(nix)).map((text) => /\d[\d.]*/.exec(text)?.[0] ?? "none"),
    nativeCiphers: await hasNativeCiphers(),
  };
}

/** The load of the last minute: who reads ratios wants to know what else went on. */
export function load(): number {
  return Math.round((loadavg()[0] ?? 0) * 10) / 10;
}

async function said(command: string, ...args: string[]): Promise<string> {
  const output = await run(command, args).catch(() => ({ stdout: "", stderr: "" }));
  return output.stdout + output.stderr;
}

async function hasNativeCiphers(): Promise<boolean> {
  const code = 'require("ssh2/lib/protocol/crypto/build/Release/sshcrypto.node")';
  return run(process.execPath, ["-e", code]).then(
    () => true,
    () => false,
  );
}
