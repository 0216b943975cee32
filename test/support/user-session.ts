// A user with the units of systemd/ as they stand and the real daemon, under a systemd user manager of their own.

import { execFile } from "node:child_process";
import { chmod, chown, copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { compileProgram, type Program } from "./compile.js";

const run = promisify(execFile);
const repository = resolve(import.meta.dirname, "../..");
/** A user that exists: ssh insists on an entry in the password database. */
const nobody = 65_534;

/** The override file, from the user's home. */
export const override = ".config/nix/nix-tether.conf";

/** The shell command that shows these properties of a unit, `name=value` a line. */
export function show(unit: string, ...properties: string[]): string {
  return `systemctl --user show --property=${properties.join(",")} nix-tether${unit}`;
}

export interface UserSession {
  readonly home: string;
  /** Runs shell commands in a login of that user, and returns what they print. Everything of it ends with them. */
  readonly run: (commands: string) => Promise<string>;
}

/** To be called once in a test file: each test finds a home as after the installation, and no session yet. */
export function userSession(): UserSession {
  let program: Program;
  let home = "";

  beforeAll(async () => {
    program = await compileProgram("src/main.ts");
    await chmod(dirname(dirname(program.file)), 0o755);
  });
  afterAll(() => program.remove());

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), "nix-tether-units-"));
    const units = join(home, ".config/systemd/user");
    for (const folder of [units, join(home, ".config/nix-tether"), join(home, ".local/bin")]) {
      await mkdir(folder, { recursive: true });
    }
    for (const unit of await readdir(join(repository, "systemd"))) {
      await copyFile(join(repository, "systemd", unit), join(units, unit));
    }
    const command = join(home, ".local/bin/nix-tether");
    await writeFile(command, `#!/bin/sh\nexec ${process.execPath} ${program.file} "$@"\n`, { mode: 0o755 });
    await writeFile(
      join(home, ".config/nix-tether/config.toml"),
      '[caches.pi]\nhost = "127.0.0.1"\nport = 9\nuser = "nobody"\n',
    );
  });
  afterEach(() => rm(home, { recursive: true, force: true }));

  return {
    get home() {
      return home;
    },
    run: async (commands) => {
      for (const entry of ["", ...(await readdir(home, { recursive: true }))]) {
        await chown(join(home, entry), nobody, nobody);
      }
      const script = join(repository, "test/support/user-manager.sh");
      const options = { timeout: 50_000 };
      const { stdout } = await run("bash", [script, String(nobody), home, `set -eu\n${commands}`], options);
      return stdout;
    },
  };
}
