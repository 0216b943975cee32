// Runs the machine's own Nix on stores in a folder of the demo, with nothing of the user's settings or stores in reach.

import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** How long one nix command may take, in milliseconds. */
const deadlineMs = 15_000;

/** Nix with a store of its own. */
export interface NixHome {
  /** The environment that binds every nix program to this home and its store. */
  readonly env: NodeJS.ProcessEnv;
  readonly folder: string;
  /** `$XDG_CONFIG_HOME` of this home. */
  readonly configHome: string;
  /** Runs a program to its end and returns what it printed. Rejects when it fails or `signal` is aborted. */
  run(program: string, args: readonly string[], signal?: AbortSignal): Promise<string>;
}

/** Makes `folder` the home of a Nix whose store lies in `folder/store`. `settings` are lines for its nix.conf. */
export async function makeNixHome(
  folder: string,
  options: { readonly path: string; readonly settings: readonly string[] },
): Promise<NixHome> {
  const configHome = join(folder, "config");
  const systemConf = join(folder, "etc-nix");
  const temporary = join(folder, "tmp");
  for (const dir of [join(configHome, "nix"), systemConf, temporary]) await mkdir(dir, { recursive: true });
  // The system's nix.conf may name build users and substituters; the demo's has neither.
  await writeFile(join(systemConf, "nix.conf"), "build-users-group =\nsubstituters =\n");
  await writeFile(join(configHome, "nix", "nix.conf"), options.settings.map((line) => `${line}\n`).join(""));
  const env = {
    PATH: options.path,
    HOME: folder,
    TMPDIR: temporary,
    LANG: "C.UTF-8",
    XDG_CONFIG_HOME: configHome,
    XDG_CONFIG_DIRS: systemConf,
    XDG_CACHE_HOME: join(folder, "cache"),
    XDG_STATE_HOME: join(folder, "state"),
    XDG_DATA_HOME: join(folder, "share"),
    NIX_CONF_DIR: systemConf,
    NIX_REMOTE: `local?root=${join(folder, "store")}`,
  };
  return {
    env,
    folder,
    configHome,
    run: async (program, args, signal) => {
      const { stdout } = await run(program, [...args], {
        env,
        cwd: folder,
        timeout: deadlineMs,
        ...(signal === undefined ? {} : { signal }),
      });
      return stdout.trim();
    },
  };
}
