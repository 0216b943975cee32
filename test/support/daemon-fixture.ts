// What every test of the running daemon needs: the compiled program, a far machine (a real sshd in front of a real
// nix-daemon), and homes to run the program in. It remembers everything that the programs have said.

import { chmod, copyFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { compileProgram } from "./compile.js";
import { type DaemonHome, makeDaemonHome } from "./daemon.js";
import { type LinkFixture, makeLinkFixture } from "./link-fixture.js";
import type { Sshd } from "./sshd.js";

/** A user that exists everywhere, for ssh insists on an entry in the password database. */
export const nobody = 65_534;

export interface HomeOptions {
  /** Whose home it is; default: root's. */
  readonly uid?: number;
  readonly env?: NodeJS.ProcessEnv;
  /** Options of Node itself. */
  readonly nodeFlags?: readonly string[];
}

export interface DaemonFixture {
  /** The key, the agent that holds it, and the far machine's store. */
  readonly far: LinkFixture;
  /** Starts an sshd in front of the far machine's store; it ends with `dispose`. */
  sshd(): Promise<Sshd>;
  /** Makes a home with the key as `id` in it, and the agent in its environment unless that says otherwise. */
  home(options?: HomeOptions): Promise<DaemonHome>;
  /** The settings of a cache that is this sshd. */
  cache(sshd: Sshd, more?: Readonly<Record<string, unknown>>): Record<string, unknown>;
  /** Everything that was said in all homes. */
  said(): string;
  dispose(): Promise<void>;
}

export async function makeDaemonFixture(): Promise<DaemonFixture> {
  const program = await compileProgram("src/main.ts");
  const far = await makeLinkFixture();
  for (const folder of [dirname(dirname(program.file)), far.dir]) await chmod(folder, 0o755);
  const homes: DaemonHome[] = [];
  return {
    far,
    sshd: async () => {
      const sshd = await far.sshd();
      await chmod(sshd.dir, 0o755);
      await writeFile(join(sshd.dir, "known_hosts"), `${sshd.knownHostsLine(sshd.address)}\n`);
      return sshd;
    },
    home: async ({ uid, env = {}, nodeFlags = [] } = {}) => {
      const home = await makeDaemonHome(program.file, {
        nodeFlags,
        ...(uid === undefined ? {} : { uid }),
        env: {
          // Its ssh reads no configuration of this machine's users.
          PATH: `${join(far.dir, "bin")}:${process.env["PATH"] ?? ""}`,
          SSH_AUTH_SOCK: far.agent.socket,
          ...env,
        },
      });
      homes.push(home);
      await copyFile(far.key.file, join(home.dir, "id"));
      return home;
    },
    cache: (sshd, more = {}) => ({
      host: sshd.address,
      port: sshd.port,
      user: "root",
      "known-hosts": join(sshd.dir, "known_hosts"),
      "remote-socket": far.daemonSocket,
      ...more,
    }),
    said: () => homes.map((home) => home.said()).join(""),
    dispose: async () => {
      for (const home of homes) await home.dispose();
      await far.endTest();
      await far.dispose();
      await program.remove();
    },
  };
}
