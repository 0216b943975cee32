// The units in systemd/, as they stand, under a real user manager, with the real daemon.

import { execFile } from "node:child_process";
import { chmod, chown, copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { compileProgram, type Program } from "../support/compile.js";

const run = promisify(execFile);
const repository = resolve(import.meta.dirname, "../..");
/** A user that exists: ssh insists on an entry in the password database. */
const nobody = 65_534;

let program: Program;
let home: string;

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
  for (const unit of ["nix-tether.service", "nix-tether.socket"]) {
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

/** Runs shell commands in a login of that user, and returns what they print. */
async function inSession(commands: string): Promise<string> {
  for (const entry of ["", ...(await readdir(home, { recursive: true }))]) {
    await chown(join(home, entry), nobody, nobody);
  }
  const script = join(repository, "test/support/user-manager.sh");
  const options = { timeout: 50_000 };
  const { stdout } = await run("bash", [script, String(nobody), home, `set -eu\n${commands}`], options);
  return stdout;
}

const override = ".config/nix/nix-tether.conf";
const show = (unit: string, ...properties: string[]): string =>
  `systemctl --user show --property=${properties.join(",")} nix-tether.${unit}`;

test("systemd finds no fault in them", async () => {
  await inSession(
    `systemd-analyze --user verify ~/.config/systemd/user/nix-tether.service ~/.config/systemd/user/nix-tether.socket`,
  );
});

test("enabled, started, asked and stopped", async () => {
  const output = await inSession(`
    systemctl --user enable --now nix-tether.socket nix-tether.service 2>/dev/null
    ${show("service", "ActiveState", "StatusText", "NRestarts")}
    curl --silent --fail http://127.0.0.1:37515/pi/nix-cache-info
    nix-tether() { ~/.local/bin/nix-tether "$@"; }
    nix-tether status --json | grep -o '"state":[^,]*'
    stat --format='%a %n' $XDG_RUNTIME_DIR/nix-tether $XDG_RUNTIME_DIR/nix-tether/control.sock
    systemctl --user stop nix-tether.service 2>/dev/null
    ${show("service", "ActiveState", "Result")}
    [ -e $XDG_RUNTIME_DIR/nix-tether ] || echo "no runtime folder"
  `);
  expect(output).toMatch(/^ActiveState=active$/m);
  expect(output).toMatch(/^StatusText=.*pi/m);
  expect(output).toMatch(/^NRestarts=0$/m);
  expect(output).toContain("StoreDir: /nix/store");
  expect(output).toMatch(/"state": ?"(offline|connecting|waiting)"/);
  expect(output).toMatch(/^700 \/run\/user\/65534\/nix-tether$/m);
  expect(output).toMatch(/^600 \/run\/user\/65534\/nix-tether\/control.sock$/m);
  expect(output).toMatch(/^ActiveState=inactive$/m);
  expect(output).toMatch(/^Result=success$/m);
  expect(output).toContain("no runtime folder");
});

test("killed outright, it comes again, and a request made meanwhile waits and is answered", async () => {
  const output = await inSession(`
    systemctl --user start nix-tether.socket nix-tether.service
    systemctl --user kill --signal=KILL --kill-who=main nix-tether.service
    curl --silent --fail --max-time 20 http://127.0.0.1:37515/pi/nix-cache-info
    ${show("service", "ActiveState", "NRestarts")}
  `);
  expect(output).toContain("StoreDir: /nix/store");
  expect(output).toMatch(/^NRestarts=1$/m);
});

test("dead and not coming again, it is unlisted all the same", async () => {
  await inSession(`
    mkdir ~/.config/systemd/user/nix-tether.service.d
    printf '[Service]\\nRestart=no\\n' >~/.config/systemd/user/nix-tether.service.d/once.conf
    systemctl --user daemon-reload
    systemctl --user start nix-tether.socket nix-tether.service
    # Held still, so that it can not empty the file itself.
    systemctl --user kill --signal=STOP --kill-who=main nix-tether.service
    echo 'extra-substituters = http://127.0.0.1:37515/pi?priority=30' >~/${override}
    systemctl --user kill --signal=KILL --kill-who=main nix-tether.service
    for i in $(seq 100); do systemctl --user is-failed --quiet nix-tether.service && break; sleep 0.1; done
  `);
  expect(await readFile(join(home, override), "utf8")).not.toContain("extra-substituters");
});

test("a wrong configuration and a missing program are told once, not retried", async () => {
  const output = await inSession(`
    printf '[caches.pi]\\nhots = "typo"\\n' >~/.config/nix-tether/config.toml
    systemctl --user start nix-tether.service 2>/dev/null || echo "not started"
    sleep 1.5
    ${show("service", "Result", "NRestarts", "ExecMainStatus")}
    mv ~/.local/bin/nix-tether ~/elsewhere
    systemctl --user start nix-tether.service 2>/dev/null || echo "not started either"
    sleep 1.5
    ${show("service", "NRestarts", "ExecMainStatus")}
  `);
  expect(output.trim().split("\n")).toEqual([
    "not started",
    "Result=exit-code",
    "NRestarts=0",
    "ExecMainStatus=2",
    "not started either",
    "NRestarts=0",
    "ExecMainStatus=127",
  ]);
});
