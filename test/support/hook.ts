// The post-build hook as Nix runs it, in a mount namespace with users of its own, where programs can be taken away.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, chown, copyFile, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const hookScript = fileURLToPath(new URL("../../hooks/post-build-hook.sh", import.meta.url));

/** A user that exists only in the hook's namespace, with a home and a spool. */
export interface HookUser {
  readonly name: string;
  readonly uid: number;
  readonly home: string;
  readonly spool: string;
}

export interface HookRun {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface HookOptions {
  /** What follows `#!/bin/sh`, or another shell to run the script with: `dash`, `busybox sh`. */
  readonly shell?: string;
  /** Added to, or with undefined taken from, an environment like a nix-daemon's. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Shell commands run as root in the namespace before the hook. */
  readonly before?: string;
  /** Programs that can not be run; by their absolute names. */
  readonly without?: readonly string[];
  /** Who runs it; root by default. */
  readonly as?: HookUser;
  /** Another script than the repository's. */
  readonly script?: string;
  /** Redirections, such as `2>&-`. */
  readonly redirect?: string;
}

export interface HookMachine {
  readonly dir: string;
  readonly ada: HookUser;
  readonly bob: HookUser;
  /** Where the hook finds `gcroots/auto`. */
  readonly stateDir: string;
  /** Searched for programs first. */
  readonly bin: string;
  configure(text: string): Promise<void>;
  /** Puts a program into `bin`. */
  program(name: string, script: string): Promise<string>;
  run(options?: HookOptions): Promise<HookRun>;
  /** The texts of what a spool has taken in. */
  incoming(user: HookUser): Promise<string[]>;
  dispose(): Promise<void>;
}

const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export async function makeHookMachine(): Promise<HookMachine> {
  const dir = await mkdtemp(join(tmpdir(), "nix-tether-hook-"));
  await chmod(dir, 0o755);
  const at = (...names: string[]): string => join(dir, ...names);
  const makeUser = async (name: string, uid: number): Promise<HookUser> => {
    const home = at("home", name);
    const spool = join(home, ".local/state/nix-tether/spool");
    await mkdir(spool, { recursive: true });
    for (const folder of ["incoming", "roots"]) await mkdir(join(spool, folder));
    for (const part of ["", ".local", ".local/state", ".local/state/nix-tether"]) {
      await chown(join(home, part), uid, uid);
    }
    for (const part of ["", "incoming", "roots"]) await chown(join(spool, part), uid, uid);
    await chmod(home, 0o700);
    return { name, uid, home, spool };
  };
  const [ada, bob] = [await makeUser("ada", 61_777), await makeUser("bob", 61_778)];
  for (const [file, line] of [
    ["passwd", ({ name, uid, home }: HookUser) => `${name}:*:${uid}:${uid}:A, B & C,,,:${home}:/bin/sh\n`],
    ["group", ({ name, uid }: HookUser) => `${name}:*:${uid}:\n`],
  ] as const) {
    await writeFile(at(file), (await readFile(`/etc/${file}`, "utf8")) + [ada, bob].map(line).join(""));
  }
  await mkdir(at("state/gcroots/auto"), { recursive: true });
  await mkdir(at("bin"));

  return {
    dir,
    ada,
    bob,
    stateDir: at("state"),
    bin: at("bin"),
    configure: (text) => writeFile(at("hook.conf"), text),
    program: async (name, script) => {
      await writeFile(at("bin", name), script);
      await chmod(at("bin", name), 0o755);
      return at("bin", name);
    },
    run: async (options = {}) => {
      const {
        shell = "",
        env = {},
        before = "",
        without = [],
        as,
        script = hookScript,
        redirect = "",
      } = options;
      // A copy that the users can read as well.
      await copyFile(script, at("hook.sh"));
      await chmod(at("hook.sh"), 0o755);
      const become = as === undefined ? "" : `setpriv --reuid=${as.uid} --regid=${as.uid} --clear-groups`;
      const set = {
        PATH: `${at("bin")}:${systemPath}`,
        NIX_STATE_DIR: at("state"),
        NIX_TETHER_HOOK_CONF: at("hook.conf"),
        ...(as === undefined ? {} : { HOME: as.home }),
        ...env,
      };
      const words = Object.entries(set).flatMap(([name, value]) =>
        value === undefined ? [] : [`${name}=${value}`],
      );
      const commands = [
        "set -e",
        ...["passwd", "group"].map((file) => `mount --bind ${at(file)} /etc/${file}`),
        before,
        ...without.map((program) => `mount --bind /dev/null ${program}`),
        "cd /",
        `exec ${become} env -i "$@" ${shell} ${at("hook.sh")} </dev/null ${redirect}`,
      ];
      const child = spawn("unshare", ["-m", "bash", "-c", commands.join("\n"), "bash", ...words], {
        stdio: ["ignore", "pipe", "pipe"],
      });
      let stdout = "";
      let stderr = "";
      child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
      child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
      const [code] = (await once(child, "close")) as [number | null];
      return { code, stdout, stderr };
    },
    incoming: async ({ spool }) => {
      const names = (await readdir(join(spool, "incoming"))).toSorted();
      return Promise.all(names.map((name) => readFile(join(spool, "incoming", name), "utf8")));
    },
    dispose: () => rm(dir, { recursive: true, force: true }),
  };
}
