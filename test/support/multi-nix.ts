// A real nix-daemon of root with a store below a temporary folder, and what a user without rights needs to use it.

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmod, chown, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "./eventually.js";
import { nixBin, type NixVersion } from "./private-nix.js";

/** A user that exists everywhere. */
const nobody = 65_534;

export interface MultiNix {
  /** Of the user's commands. Their nix.conf is the system's, and they have no other. */
  readonly env: NodeJS.ProcessEnv;
  /** The user's home. */
  readonly home: string;
  /** Where the system's nix.conf lies. */
  readonly confDir: string;
  /** Starts the nix-daemon, or starts it again, with these lines in the system's nix.conf. */
  restart(conf: string): Promise<void>;
  stop(): Promise<void>;
  /** Ends it, and removes all. */
  dispose(): Promise<void>;
}

/** Nothing runs yet. Needs root. */
export async function makeMultiNix(version: NixVersion): Promise<MultiNix> {
  const dir = await mkdtemp(join(tmpdir(), "nix-tether-multi-"));
  await chmod(dir, 0o755);
  for (const name of ["home", "conf", "own"]) await mkdir(join(dir, name));
  await chown(join(dir, "own"), nobody, nobody);
  const socket = join(dir, "daemon.sock");
  const common = { PATH: `${nixBin(version)}${process.env["PATH"]}`, NIX_DAEMON_SOCKET_PATH: socket };
  const confDir = join(dir, "conf");
  let daemon: ChildProcess | null = null;

  const stop = async (): Promise<void> => {
    if (daemon === null) return;
    const ended = once(daemon, "exit");
    daemon.kill("SIGKILL");
    await ended;
    await rm(socket, { force: true });
    daemon = null;
  };
  return {
    env: { ...common, NIX_CONF_DIR: confDir, NIX_REMOTE: "daemon" },
    home: join(dir, "own"),
    confDir,
    stop,
    restart: async (conf) => {
      await stop();
      await writeFile(join(confDir, "nix.conf"), `build-users-group =\nsubstituters =\n${conf}\n`);
      const places = { HOME: join(dir, "home"), NIX_CONF_DIR: confDir };
      const env = { ...common, ...places, NIX_REMOTE: `local?root=${join(dir, "root")}` };
      daemon = spawn("nix-daemon", [], { env, cwd: dir, stdio: "ignore" });
      daemon.on("error", () => undefined);
      await eventually("it listens", async () => (await readdir(dir)).includes("daemon.sock"));
      await chmod(socket, 0o666);
    },
    dispose: async () => {
      await stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
