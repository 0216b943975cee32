// Root's copy of a user's override, made by the real script with real users and ports in namespaces of its own: what the
// user lists gets through if root has allowed it, and nothing else does whatever the user puts in the file's place.

import { execFile } from "node:child_process";
import {
  chmod,
  chown,
  copyFile,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const script = resolve(import.meta.dirname, "../../root/nix-tether-root.sh");
const [ada, bob] = [61_777, 61_778];
/** F_SETLEASE of fcntl(2), which Perl does not know by name. */
const setLease = 1024;

const url = (n: number | string, cache = "pi"): string => `http://127.0.0.1:37515/${cache}/${n}?priority=30`;
const listing = (...urls: string[]): string => `extra-substituters = ${urls.join(" ")}\n`;

let parent: string;
beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), "nix-tether-root-"));
  await chmod(parent, 0o755);
});
afterAll(() => rm(parent, { recursive: true, force: true }));

interface Options {
  /** Shell commands of the user's, in the folder of the override, which has `$file` for its name. */
  readonly user?: string;
  /** Who holds the gateway's port. */
  readonly holder?: number | null;
  readonly name?: string;
}

interface Copy {
  readonly code: number;
  readonly stderr: string;
  /** The settings in the copy, a line each. */
  readonly settings: string[];
}

interface Machine {
  readonly dir: string;
  /** Writes root's file. */
  allow(...lines: string[]): Promise<void>;
  /** Writes the user's. */
  write(text: string): Promise<void>;
  /** Runs the script as root, and gives what is in the copy afterwards. */
  copy(options?: Options): Promise<Copy>;
}

async function makeMachine(): Promise<Machine> {
  const dir = await mkdtemp(join(parent, "m"));
  await chmod(dir, 0o755);
  await mkdir(join(dir, "run"));
  await mkdir(join(dir, "ada/.config/nix"), { recursive: true });
  for (const folder of ["ada", "ada/.config", "ada/.config/nix"]) await chown(join(dir, folder), ada, ada);
  await chmod(join(dir, "ada"), 0o700);
  await copyFile(script, join(dir, "script"));
  const users = `ada:*:${ada}:${ada}:Ada:${dir}/ada:/bin/sh\nbob:*:${bob}:${bob}:Bob:${dir}/bob:/bin/sh\n`;
  await writeFile(join(dir, "passwd"), (await readFile("/etc/passwd", "utf8")) + users);
  const machine: Machine = {
    dir,
    allow: (...lines) => writeFile(join(dir, "root.conf"), `${lines.join("\n")}\n`),
    write: async (text) => {
      const file = join(dir, "ada/.config/nix/nix-tether.conf");
      await writeFile(file, text);
      await chown(file, ada, ada);
    },
    copy: async ({ user = "true", holder = ada, name = "ada" } = {}) => {
      const as = (uid: number): string => `setpriv --reuid=${uid} --regid=${uid} --clear-groups`;
      const hold = `${as(holder ?? 0)} socat TCP-LISTEN:37515,bind=127.0.0.1,fork /dev/null &
        until grep -q ' 0100007F:928B 00000000:0000 0A ' /proc/net/tcp; do sleep 0.02; done`;
      const commands = `
        mount --bind ${dir}/passwd /etc/passwd
        ip link set lo up
        ${holder === null ? "" : hold}
        ( cd ${dir}/ada/.config/nix; export file=nix-tether.conf; exec ${as(ada)} bash -c "$USER_COMMANDS" )
        env -i NIX_TETHER_ROOT_CONF=${dir}/root.conf RUNTIME_DIRECTORY=${dir}/run timeout 40 ${dir}/script ${name}`;
      // A namespace of processes: whatever the user has left running ends with the script.
      const args = ["-mnpf", "--kill-child", "--mount-proc", "bash", "-c", commands];
      const env = { ...process.env, USER_COMMANDS: user };
      const { code, stderr } = await promisify(execFile)("unshare", args, { env }).then(
        (done) => ({ code: 0, stderr: done.stderr }),
        (error: { code: number; stderr: string }) => error,
      );
      const text = await readFile(join(dir, "run", `${name}.conf`), "utf8").catch(() => "");
      return { code, stderr, settings: text.split("\n").filter((line) => !/^(#.*)?$/.test(line)) };
    },
  };
  await machine.allow("cache = ada http://127.0.0.1:37515/pi?priority=30");
  return machine;
}

test.concurrent("what the user lists is listed for root, and goes when it goes", async () => {
  const machine = await makeMachine();
  await machine.write(`# comment\n${listing(url(7))}extra-trusted-public-keys = pi-1:AAAA\n`);
  expect(await machine.copy()).toMatchObject({ code: 0, settings: [`extra-substituters = ${url(7)}`] });
  const info = await stat(join(machine.dir, "run/ada.conf"));
  expect([info.uid, info.mode & 0o777]).toEqual([0, 0o600]);
  expect(await readdir(join(machine.dir, "run"))).toEqual(["ada.conf"]);

  expect((await machine.copy()).stderr).toBe("");
  await machine.write("# nothing is in reach\n");
  expect(await machine.copy()).toMatchObject({
    settings: [],
    stderr: "<5>root's commands use none of ada's caches\n",
  });
});

test.concurrent("each cache that root names is listed once", async () => {
  const machine = await makeMachine();
  await machine.allow(
    "# two",
    "cache = ada http://127.0.0.1:37515/pi?priority=30",
    "  cache=ada http://127.0.0.1:37515/nas?priority=30",
    "cache = bob http://127.0.0.1:37515/bobs?priority=30",
  );
  await machine.write(listing(url(3), url(2), url(3), url(0, "nas"), url(0, "bobs"), url(0, "third")));
  expect((await machine.copy()).settings).toEqual([listing(url(2), url(0, "nas")).trim()]);
});

test.concurrent("the override may be elsewhere", async () => {
  const machine = await makeMachine();
  await machine.allow(
    "cache = ada http://127.0.0.1:37515/pi?priority=30",
    `override = ada ${machine.dir}/ada/other`,
  );
  expect(
    (await machine.copy({ user: `echo '${listing(url(1)).trim()}' >../../other` })).settings,
  ).toHaveLength(1);
});

test.concurrent("a listing that nobody stands behind is not passed on", async () => {
  const machine = await makeMachine();
  await machine.write(listing(url(7)));
  expect((await machine.copy()).settings).toHaveLength(1);
  expect((await machine.copy({ holder: bob })).settings).toEqual([]);
  expect((await machine.copy()).settings).toHaveLength(1);
  expect((await machine.copy({ holder: null })).settings).toEqual([]);
});

describe("the user puts in its place", () => {
  const strangers = [
    "http://127.0.0.1:666/pi/0?priority=30",
    "http://evil/",
    "file:///tmp",
    "/tmp/x",
    ...[16, "00", -1, "", "*", "?"].map((n) => url(n)),
    ...["&trusted=true", "0", "#", "\r"].map((end) => `${url(0)}${end}`),
    url(0, "nas"),
    url(0).toUpperCase(),
    `"${url(0)}"`,
  ];
  const nothing: Record<string, string> = {
    "other URLs": `echo 'extra-substituters = ${strangers.join(" ")}' >$file`,
    "other settings": `printf '%s\\n' 'substituters = ${url(0)}' 'post-build-hook = /tmp/evil' 'include /tmp/evil' \\
      'extra-trusted-public-keys = evil-1:AAAA' 'extra-substituters=${url(0)}' '#extra-substituters = ${url(0)}' >$file`,
    "words for the shell": "echo 'extra-substituters = $(touch $PWD/pwned) * `id` ; ${url} $caches' >$file",
    "a line of settings within a word": `printf 'extra-substituters = ${url(0)}\\\\npost-build-hook=x\\n' >$file`,
    "NUL bytes": `printf 'extra-substituters = ${url(0)}\\0x\\n' >$file`,
    "a symbolic link": `echo '${listing(url(0)).trim()}' >elsewhere; ln -s elsewhere $file`,
    "a link to a file of root's": "ln -s /etc/shadow $file",
    "an endless device": "ln -s /dev/zero $file",
    "a huge file": `echo '${listing(url(0)).trim()}' >$file; truncate -s 10G $file`,
    "a file with a huge line": `{ printf 'extra-substituters = ${url(0)} '; head -c 200000 /dev/zero | tr '\\0' x; } >$file`,
    "a folder": "mkdir $file",
    "a pipe": "mkfifo $file",
    "a pipe that never ends": `mkfifo $file; (yes '${listing(url(0)).trim()}' >$file) >/dev/null 2>&1 &`,
    "nothing that can be read": `echo '${listing(url(0)).trim()}' >$file; chmod 0 $file`,
    "nothing at all": "true",
  };
  test.concurrent.each(Object.keys(nothing))("%s: root uses nothing", async (what) => {
    const machine = await makeMachine();
    const { code, settings } = await machine.copy({ user: `umask 022; ${nothing[what]}` });
    expect(settings).toEqual([]);
    expect(code).toBe(0);
    expect(await readdir(join(machine.dir, "ada/.config/nix"))).not.toContain("pwned");
  });

  test.concurrent(
    "a file under lease, with the reader that waits for it stopped: it ends all the same",
    async () => {
      const machine = await makeMachine();
      await machine.write(listing(url(7)));
      await machine.copy();
      // Who opens the file waits for the lease, as long as fs.lease-break-time says.
      const lease = `$SIG{IO} = "IGNORE"; open my $f, "+<", $ENV{file}; fcntl $f, ${setLease}, F_WRLCK or die; mkdir "leased"; sleep`;
      const { code, settings } = await machine.copy({
        user: `(perl -MFcntl -e '${lease}' & until [ -e leased ]; do sleep 0.02; done
        (until pkill -STOP -u ${ada} -x head; do sleep 0.02; done; mkdir stopped) &) >/dev/null 2>&1`,
      });
      expect(await readdir(join(machine.dir, "ada/.config/nix"))).toEqual([
        "leased",
        "nix-tether.conf",
        "stopped",
      ]);
      expect({ code, settings }).toEqual({ code: 0, settings: [] });
    },
  );
});

describe("root's own file", () => {
  test.concurrent.each([
    "http://127.0.0.1:37515/pi?priority=30&trusted=true",
    "http://127.0.0.1:37515/pi",
    "http://127.0.0.1:37515/pi/?priority=30",
    "http://127.0.0.1:37515/pi?priority=x",
    "http://127.0.0.1:37515/pi/0?priority=30",
    "http://127.0.0.1:/pi?priority=30",
    "http://127.0.0.1:37515.evil/pi?priority=30",
    "http://192.168.1.2:37515/pi?priority=30",
    "https://cache.example.org/pi?priority=30",
  ])("%s is refused", async (cache) => {
    const machine = await makeMachine();
    await machine.allow(`cache = ada ${cache}`);
    await machine.write(listing(cache.replace("?", "/0?"), `${cache}/0`, cache));
    const { settings, stderr } = await machine.copy();
    expect(stderr).toContain(`"${cache}" can not be used.`);
    expect(settings).toEqual([]);
  });

  test.concurrent("is needed, and so is the user", async () => {
    const machine = await makeMachine();
    expect(await machine.copy({ name: "eve" })).toMatchObject({
      code: 1,
      stderr: "<3>There is no user eve.\n",
    });
    expect(await machine.copy({ name: "../ada" })).toMatchObject({ code: 1 });
    expect(await machine.copy({ name: "root" })).toMatchObject({ code: 1 });
    await machine.allow("caches = x");
    expect((await machine.copy()).stderr).toContain("caches is not known");
  });
});
