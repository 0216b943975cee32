// A /nix of one's own in a mount namespace: a real single-user store at the real place, in memory, that nobody else sees
// and that goes with the test.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { withDeadline } from "../../src/util/abort.js";
import { untilConnectable } from "./nix-store.js";

/** 2.8 is the system's own; the newer ones come from scripts/fetch-nix.sh. */
export const nixSuites = { "2.8": null, "2.26": "trixie", "2.34": "forky" } as const;
export type NixVersion = keyof typeof nixSuites;

export interface PrivateNix {
  /** A folder that is the same inside and outside. */
  readonly dir: string;
  /** Runs a shell script inside, as root; resolves to its stdout and stderr, rejects when it fails. */
  run(script: string): Promise<{ stdout: string; stderr: string }>;
  /** Where a path of the inside is found from outside. */
  outside(path: string): string;
  /**
   * For a program outside that is to use the store inside: its `nix-store`, `nix`, a `nix-daemon` that passes on to the one
   * of `listen`, and its state folder.
   */
  readonly env: NodeJS.ProcessEnv;
  /** The arguments of each `nix-store` that was started through `env`. */
  calls(): Promise<string[]>;
  /** Starts a nix-daemon inside; resolves to its socket, which is the same outside. */
  listen(): Promise<string>;
  dispose(): Promise<void>;
}

/** `conf` is appended to nix.conf; `env` is for whatever runs inside. Needs root. */
export async function makePrivateNix(
  version: NixVersion,
  conf: (dir: string) => string,
  env: Readonly<Record<string, string>> = {},
): Promise<PrivateNix> {
  const dir = await mkdtemp(join(tmpdir(), "nix-tether-private-"));
  const at = (...names: string[]): string => join(dir, ...names);
  for (const name of ["home", "conf", "bin"]) await mkdir(at(name));
  const lines = ["build-users-group =", "sandbox = false", "substituters =", conf(dir)];
  await writeFile(at("conf", "nix.conf"), `${lines.join("\n")}\n`);
  const holder = spawn("unshare", ["-m", "sh", "-c", "mount -t tmpfs none /nix && echo ready && read -r _"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  holder.stdin.on("error", () => undefined);
  await withDeadline(once(holder.stdout, "data"), 10_000, "mounting a private /nix");
  // unshare becomes the shell: it does not fork.
  const pid = String(holder.pid);
  // As in a state folder: where its database lies can be told from the socket.
  await mkdir(at("state", "daemon-socket"), { recursive: true });
  await symlink(`/proc/${pid}/root/nix/var/nix/db`, at("state", "db"));
  const inside = {
    PATH: `${nixBin(version)}/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin`,
    HOME: at("home"),
    NIX_CONF_DIR: at("conf"),
    NIX_REMOTE: "local",
    LANG: "C.UTF-8",
    ...env,
  };
  const socket = at("state", "daemon-socket", "socket");
  const assignments = Object.entries(inside).map(([name, value]) => `${name}='${value}'`);
  const enter = `exec nsenter -t ${pid} -m -- env -i ${assignments.join(" ")}`;
  const children = new Set<ChildProcess>();
  const running = new Set<ChildProcess>();
  await writeFile(at("calls"), "");
  const count = `echo "$*" >>${at("calls")}\n`;
  await writeFile(at("bin", "nix-store"), `#!/bin/sh\n${count}${enter} nix-store "$@"\n`, { mode: 0o755 });
  await writeFile(at("bin", "nix"), `#!/bin/sh\n${enter} nix "$@"\n`, { mode: 0o755 });
  const served = `NIX_REMOTE=daemon NIX_DAEMON_SOCKET_PATH=${socket}`;
  await writeFile(at("bin", "nix-daemon"), `#!/bin/sh\n${enter} ${served} nix-daemon "$@"\n`, {
    mode: 0o755,
  });

  return {
    dir,
    outside: (path) => `/proc/${pid}/root${path}`,
    env: { PATH: `${at("bin")}:/usr/bin:/bin`, NIX_STATE_DIR: `/proc/${pid}/root/nix/var/nix` },
    calls: async () => (await readFile(at("calls"), "utf8")).split("\n").slice(0, -1),
    run: async (script) => {
      const child = spawn("nsenter", ["-t", pid, "-m", "--", "bash", "-euc", script], {
        env: inside,
        cwd: dir,
        stdio: ["ignore", "pipe", "pipe"],
        // A group of its own: what a script has started is to end with it.
        detached: true,
      });
      running.add(child);
      const output = { stdout: "", stderr: "" };
      child.stdout.setEncoding("utf8").on("data", (text: string) => (output.stdout += text));
      child.stderr.setEncoding("utf8").on("data", (text: string) => (output.stderr += text));
      const [code] = (await once(child, "close")) as [number | null];
      running.delete(child);
      if (code !== 0) throw new Error(`${script}\nended with ${code}\n${output.stdout}${output.stderr}`);
      return output;
    },
    listen: async () => {
      const own = { ...inside, NIX_DAEMON_SOCKET_PATH: socket };
      const child = spawn("nsenter", ["-t", pid, "-m", "--", "nix-daemon"], { env: own, stdio: "ignore" });
      child.on("error", () => undefined);
      children.add(child);
      await untilConnectable(socket);
      return socket;
    },
    dispose: async () => {
      for (const { pid: group } of running) if (group !== undefined) process.kill(-group, "SIGKILL");
      const exits = [...children].map((child) => once(child, "exit"));
      for (const child of children) child.kill("SIGKILL");
      await Promise.all(exits);
      const ended = once(holder, "exit");
      holder.stdin.end();
      await withDeadline(ended, 10_000, "leaving the private /nix");
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** What belongs before the PATH for that version: a folder and a colon, or nothing. */
export function nixBin(version: NixVersion): string {
  const suite = nixSuites[version];
  if (suite === null) return "";
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  return `${join(process.env["NIX_TETHER_NIX_DIR"] ?? join(cache, "nix-tether-lab"), `nix-${suite}`, "bin")}:`;
}
