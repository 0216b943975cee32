// The post-build hook with real shells, real users and real tools to become them. Whatever happens, it exits with 0.

import {
  chmod,
  chown,
  lchown,
  lstat,
  mkdir,
  readFile,
  readdir,
  readlink,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  hookScript,
  makeHookMachine,
  type HookMachine,
  type HookOptions,
  type HookRun,
} from "../support/hook.js";
import { incomingText, storePath } from "../support/store-paths.js";

const drv = storePath("hello-1.0.drv");
const [out, dev] = [storePath("hello-1.0"), storePath("hello-1.0-dev")];
const built = { DRV_PATH: drv, OUT_PATHS: `${out} ${dev}` };
const whole = incomingText([out, dev], drv);
const silence: HookRun = { code: 0, stdout: "", stderr: "" };

let machine: HookMachine;

beforeEach(async () => {
  machine = await makeHookMachine();
  await machine.configure("user = ada\n");
});

afterEach(() => machine.dispose());

function run(options: HookOptions = {}): Promise<HookRun> {
  return machine.run({ ...options, env: { ...built, ...options.env } });
}

/** One line on stderr that says this, nothing on stdout, exit code 0. */
function says(outcome: HookRun, text: string): void {
  expect(outcome.stderr).toContain(text);
  expect(outcome.stderr).toMatch(/^nix-tether: [^\n]*\n$/);
  expect(outcome).toMatchObject({ code: 0, stdout: "" });
}

async function expectQueued(): Promise<void> {
  expect(await machine.incoming(machine.ada)).toEqual([whole]);
}

describe("as root", () => {
  test("it queues as the user, and makes roots", async () => {
    expect(await run()).toEqual(silence);
    await expectQueued();
    const { spool, uid } = machine.ada;
    const [file = ""] = await readdir(join(spool, "incoming"));
    expect(file).toMatch(/^[0-9a-z]{32}-\d+-[\d.]+$/);
    const info = await lstat(join(spool, "incoming", file));
    expect([info.uid, info.gid, info.mode & 0o777]).toEqual([uid, uid, 0o600]);
    for (const path of [out, dev]) {
      const name = path.slice("/nix/store/".length);
      const link = join(spool, "roots", name);
      expect(await readlink(link)).toBe(path);
      expect((await lstat(link)).uid).toBe(uid);
      const root = join(machine.stateDir, "gcroots/auto", `nix-tether-${uid}`, name);
      expect(await readlink(root)).toBe(link);
      expect((await lstat(root)).uid).toBe(0);
    }
  });

  test("it may run again for the same paths", async () => {
    for (let n = 0; n < 3; n += 1) expect(await run()).toEqual(silence);
    expect(new Set(await machine.incoming(machine.ada))).toEqual(new Set([whole]));
    expect(await readdir(join(machine.ada.spool, "roots"))).toHaveLength(2);
  });

  test("several users, one of them with a spool elsewhere", async () => {
    const spool = join(machine.dir, "a b");
    await mkdir(join(spool, "incoming"), { recursive: true });
    await mkdir(join(spool, "roots"));
    for (const part of ["", "incoming", "roots"])
      await chown(join(spool, part), machine.bob.uid, machine.bob.uid);
    await machine.configure(`# uploads\n\nuser=ada\n\tuser = bob ${spool} \nuser = carol`);
    says(await run(), "there is no user carol");
    await expectQueued();
    expect(await machine.incoming({ ...machine.bob, spool })).toEqual([whole]);
    expect(await machine.incoming(machine.bob)).toEqual([]);
  });

  test("a user whose ids are given is not looked up", async () => {
    await machine.program("getent", "#!/bin/sh\nexit 1\n");
    await machine.program("grep", "#!/bin/sh\nexit 1\n");
    const { spool, uid } = machine.ada;
    await machine.configure(`user = ada ${uid}:${uid} ${spool}\n`);
    expect(await run()).toEqual(silence);
    await expectQueued();
    await machine.configure("user = ada\n");
    says(await run(), "there is no user ada");
  });

  test("the user sees nothing of root's environment", async () => {
    await machine.program("sync", `#!/bin/sh\nenv >${machine.ada.home}/env\n`);
    const secrets = {
      NIX_CONFIG: "access-tokens = x\nother = 1",
      AWS_SECRET_ACCESS_KEY: "hush",
      HOME: "/root",
    };
    for (const without of [[], ["/usr/bin/setpriv"], ["/usr/bin/setpriv", "/usr/sbin/runuser"]]) {
      await rm(join(machine.ada.home, "env"), { force: true });
      expect(await run({ env: secrets, without })).toEqual(silence);
      const env = await readFile(join(machine.ada.home, "env"), "utf8");
      expect(env).toContain("PWD=/");
      expect(env).not.toMatch(/access-tokens|hush|\/root|OUT_PATHS/);
    }
  });

  test.each([
    ["runuser", ["/usr/bin/setpriv"]],
    ["su", ["/usr/bin/setpriv", "/usr/sbin/runuser"]],
  ])("it becomes the user by %s", async (_, without) => {
    expect(await run({ without })).toEqual(silence);
    await expectQueued();
    expect((await lstat(join(machine.ada.spool, "roots", out.slice(11)))).uid).toBe(machine.ada.uid);
  });

  test("it says so where it can not become the user", async () => {
    const without = ["/usr/bin/setpriv", "/usr/sbin/runuser", "/usr/bin/su"];
    says(await run({ without }), "could not become ada");
    expect(await machine.incoming(machine.ada)).toEqual([]);
  });

  test("a setpriv that can not do it is passed over in silence", async () => {
    await machine.program("setpriv", '#!/bin/sh\nexec busybox setpriv "$@"\n');
    expect(await run()).toEqual(silence);
    await expectQueued();
  });

  test("users need not be able to read it", async () => {
    const before = `chmod 700 ${machine.dir}/hook.sh`;
    expect(await run({ before })).toEqual(silence);
    await expectQueued();
  });
});

describe.each(["dash", "busybox sh", "bash", "bash --posix"])("with %s", (shell) => {
  test("it queues", async () => {
    expect(await run({ shell })).toEqual(silence);
    await expectQueued();
  });

  test("it says what is wrong", async () => {
    await machine.configure("user = nobody-of-that-name\n");
    says(await run({ shell }), "there is no user nobody-of-that-name");
  });

  test("it survives a stderr that is closed", async () => {
    await machine.configure("user = nobody-of-that-name\n");
    expect(await run({ shell, redirect: "2>&-" })).toMatchObject({ code: 0 });
  });
});

test("with busybox for every program and as the system's shell", async () => {
  for (const applet of [
    "sh",
    "ln",
    "mv",
    "rm",
    "sync",
    "timeout",
    "env",
    "grep",
    "sed",
    "ls",
    "id",
    "mkdir",
    "su",
  ]) {
    await symlink("/usr/bin/busybox", join(machine.bin, applet));
  }
  await symlink("/usr/bin/busybox", join(machine.bin, "setpriv"));
  const before = "mount --bind /usr/bin/busybox $(realpath /bin/sh)";
  expect(await run({ before })).toEqual(silence);
  await expectQueued();
  await chmod(join(machine.ada.spool, "incoming"), 0o500);
  says(await run({ before }), "can not be written to");
  expect(await run({ before, without: ["/usr/sbin/runuser"] })).toMatchObject({ code: 0 });
});

test("with bash as the system's shell", async () => {
  const before = "mount --bind /usr/bin/bash $(realpath /bin/sh)";
  expect(await run({ before })).toEqual(silence);
  await expectQueued();
  await machine.configure("user = carol\n");
  says(await run({ before }), "there is no user carol");
});

describe("a spool that does not work", () => {
  test("is missing", async () => {
    await rm(join(machine.ada.spool, "incoming"), { recursive: true });
    says(await run(), `there is no spool at ${machine.ada.spool}`);
    expect(await readdir(join(machine.stateDir, "gcroots/auto"))).toEqual([]);
    await rm(machine.ada.home, { recursive: true });
    says(await run(), `there is no spool at ${machine.ada.spool}`);
  });

  test("is not to be written to", async () => {
    await chmod(join(machine.ada.spool, "incoming"), 0o500);
    says(await run(), "can not be written to");
  });

  test("is mounted read-only", async () => {
    const { spool } = machine.ada;
    says(await run({ before: `mount --bind -o ro ${spool} ${spool}` }), "can not be written to");
  });

  test("is full", async () => {
    const { spool, uid } = machine.ada;
    const before = `
      mount -t tmpfs -o size=16k,uid=${uid},mode=700 none ${spool}
      mkdir ${spool}/incoming ${spool}/roots; chown ${uid}:${uid} ${spool}/*
      dd if=/dev/zero of=${spool}/filler bs=4k 2>/dev/null || true
      trap 'ls -A ${spool}/incoming' EXIT`;
    says(await run({ before }), "or its disk is full");
  });

  test("hangs", async () => {
    const script = (await readFile(hookScript, "utf8")).replace("timeout -s KILL 10", "timeout -s KILL 1");
    await writeFile(join(machine.dir, "impatient.sh"), script);
    await machine.program("ln", "#!/bin/sh\nsleep 60\n");
    const begun = Date.now();
    says(await run({ script: join(machine.dir, "impatient.sh") }), "did not answer in time");
    expect(Date.now() - begun).toBeLessThan(10_000);
  });

  test("can not be flushed", async () => {
    await machine.program("sync", "#!/bin/sh\nexit 1\n");
    says(await run(), "could not be flushed");
    await expectQueued();
  });

  test.each(["incoming", "roots"])("has %s lead to a folder of root's", async (name) => {
    const folder = join(machine.dir, "root-only");
    await mkdir(folder, { mode: 0o755 });
    await rm(join(machine.ada.spool, name), { recursive: true });
    await symlink(folder, join(machine.ada.spool, name));
    const outcome = await run();
    expect(outcome.code).toBe(0);
    expect(await readdir(folder)).toEqual([]);
    if (name === "incoming") says(outcome, "can not be written to");
    else await expectQueued();
  });

  test("is itself a link to a folder of root's", async () => {
    const folder = join(machine.dir, "root-only");
    for (const name of ["incoming", "roots"]) await mkdir(join(folder, name), { recursive: true });
    await rm(machine.ada.spool, { recursive: true });
    await symlink(folder, machine.ada.spool);
    says(await run(), "can not be written to");
    for (const name of ["incoming", "roots"]) expect(await readdir(join(folder, name))).toEqual([]);
  });

  test("has a link to a file of root's where its own file goes", async () => {
    const file = join(machine.dir, "shadow");
    await writeFile(file, "secret");
    const script = join(machine.dir, "foreseen.sh");
    await writeFile(script, (await readFile(hookScript, "utf8")).replace("-$$-$uptime", "-1"));
    const { spool, uid } = machine.ada;
    const foreseen = join(spool, "incoming", `${out.slice(11, 43)}-1`);
    await symlink(file, foreseen);
    await lchown(foreseen, uid, uid);
    says(await run({ script }), "can not be written to");
    expect(await readFile(file, "utf8")).toBe("secret");
  });
});

describe("the configuration", () => {
  test("is missing, empty or without a user", async () => {
    says(await run({ env: { NIX_TETHER_HOOK_CONF: "/nonexistent" } }), "/nonexistent names no user");
    await machine.configure("");
    says(await run(), "names no user");
    await machine.configure("# user = ada\n");
    says(await run(), "names no user");
  });

  test("is read, not run", async () => {
    await machine.configure(`user = ada $(touch ${machine.dir}/run)\n`);
    expect((await run()).code).toBe(0);
    await machine.configure(`user = ada;touch ${machine.dir}/run\nuser = -x\nuser = ../ada\nuser = ad*\n`);
    expect((await run()).code).toBe(0);
    expect(await readdir(machine.dir)).not.toContain("run");
    expect(await machine.incoming(machine.ada)).toEqual([]);
  });

  test("with an unknown key says so and goes on", async () => {
    await machine.configure("users = ada\nuser = ada\n");
    says(await run(), "users is not known");
    await expectQueued();
  });
});

describe("what Nix says was built", () => {
  test.each([
    ["commands", "$(touch /x) `touch /x` ;touch /x"],
    ["patterns", "/nix/store/* * ? [a-z]"],
    ["options", "-f --help"],
    ["other paths", `/etc/passwd ${out}/bin/../../../../etc ${out}/.. /nix/store/abc-x ${out}é`],
    ["quotes", `'${out} "x`],
  ])("counts only as far as it is store paths: %s", async (_, more) => {
    const before = `mount -t tmpfs none /nix/store; mkdir /nix/store/${"a".repeat(32)}-trap`;
    expect(await run({ before, env: { OUT_PATHS: `${more} ${out}\t${dev}\n` } })).toEqual(silence);
    await expectQueued();
  });

  test("is nothing at all", async () => {
    says(await run({ env: { DRV_PATH: undefined, OUT_PATHS: undefined } }), "no outputs are known");
    says(await run({ env: { DRV_PATH: drv, OUT_PATHS: "" } }), `no outputs are known of ${drv}`);
    says(await run({ env: { DRV_PATH: "$(id)", OUT_PATHS: "x" } }), "no outputs are known");
  });

  test("is a derivation without a name", async () => {
    expect(await run({ env: { DRV_PATH: undefined } })).toEqual(silence);
    expect(await machine.incoming(machine.ada)).toEqual([incomingText([out, dev])]);
  });
});

describe("a chained hook", () => {
  test("runs afterwards, with the environment that Nix gave, and is heard", async () => {
    const chained = await machine.program(
      "chained",
      `#!/bin/sh
      /bin/ls ${machine.ada.spool}/incoming | grep -c .
      echo "said $1"; echo warned >&2; read -r line || echo no input; /usr/bin/env | grep -v ^_= | sort\n`,
    );
    await machine.configure(`user = ada\nchain = ${chained}\n`);
    const env = {
      LC_ALL: "C.UTF-8",
      PATH: "/usr/bin:/bin",
      NIX_CONFIG: "a = 1\nb = 2",
      chain: "mine",
    };
    const { code, stdout, stderr } = await run({ env });
    expect(code).toBe(0);
    expect(stderr).toBe("warned\n");
    const expected = {
      ...built,
      ...env,
      NIX_STATE_DIR: machine.stateDir,
      NIX_TETHER_HOOK_CONF: join(machine.dir, "hook.conf"),
      PWD: "/",
    };
    const variables = stdout.split("\n").slice(3, -1).join("\n");
    expect(stdout.split("\n").slice(0, 3)).toEqual(["1", "said ", "no input"]);
    expect(variables.split("\n").toSorted()).toEqual(
      Object.entries(expected)
        .flatMap(([name, value]) => `${name}=${value}`.split("\n"))
        .toSorted(),
    );
  });

  test("may fail", async () => {
    const chained = await machine.program("chained", "#!/bin/sh\nexit 7\n");
    await machine.configure(`chain = ${chained}\nuser = ada\n`);
    says(await run(), `the hook ${chained} ended with exit code 7`);
    await expectQueued();
  });

  test("may kill itself", async () => {
    const chained = await machine.program("chained", "#!/bin/sh\nkill -9 $$\n");
    await machine.configure(`chain = ${chained}\nuser = ada\n`);
    const { code, stderr } = await run();
    expect([code, stderr.includes("exit code 137")]).toEqual([0, true]);
  });

  test.each([
    ["missing", "/nonexistent/hook"],
    ["a folder", "/"],
    ["not to be run", "/etc/passwd"],
  ])("may be %s", async (_, chained) => {
    await machine.configure(`user = ada\nchain = ${chained}\n`);
    const { code, stderr } = await run();
    expect(code).toBe(0);
    expect(stderr).toContain(`the hook ${chained} ended with exit code`);
    await expectQueued();
  });

  test("that is slow finds everything queued, and is waited for", async () => {
    const chained = await machine.program(
      "chained",
      `#!/bin/sh\nsleep 1\n/bin/ls ${machine.ada.spool}/incoming\n`,
    );
    await machine.configure(`user = ada\nchain = ${chained}\n`);
    expect((await run()).stdout).not.toBe("");
  });

  test("also runs where nothing could be queued", async () => {
    const chained = await machine.program("chained", "#!/bin/sh\necho chained\n");
    await machine.configure(`user = carol\nchain = ${chained}\n`);
    expect(await run()).toMatchObject({ code: 0, stdout: "chained\n" });
  });

  test("is not run for somebody else than root", async () => {
    const chained = await machine.program("chained", "#!/bin/sh\necho chained\n");
    await machine.configure(`user = ada\nchain = ${chained}\n`);
    const conf = join(machine.dir, "hook.conf");
    for (const mode of [0o664, 0o646, 0o666]) {
      await chmod(conf, mode);
      says(await run(), `somebody else than root can write to ${conf}`);
    }
    await chmod(conf, 0o644);
    expect((await run()).stdout).toBe("chained\n");
    await chown(conf, machine.ada.uid, 0);
    says(await run(), `somebody else than root can write to ${conf}`);
    expect(await machine.incoming(machine.ada)).toHaveLength(5);
  });

  test("is not itself", async () => {
    await machine.configure(`user = ada\nchain = ${join(machine.dir, "hook.sh")}\n`);
    expect(await run()).toEqual(silence);
    await expectQueued();
  });
});

describe("as a user, where Nix has no daemon", () => {
  test("it takes their own spool, and makes roots where it may", async () => {
    const auto = join(machine.stateDir, "gcroots/auto");
    expect(await run({ as: machine.ada })).toEqual(silence);
    await expectQueued();
    expect(await readdir(auto)).toEqual([]);
    await chown(auto, machine.ada.uid, machine.ada.uid);
    expect(await run({ as: machine.ada })).toEqual(silence);
    expect(await readdir(join(auto, `nix-tether-${machine.ada.uid}`))).toHaveLength(2);
  });

  test("where the state folder is", async () => {
    await machine.configure(`user = ada\n`);
    const { home, spool } = machine.bob;
    const env = { XDG_STATE_HOME: join(home, ".local/state"), HOME: "/nonexistent" };
    expect(await run({ as: machine.bob, env })).toEqual(silence);
    expect(await machine.incoming(machine.bob)).toEqual([whole]);
    expect(await machine.incoming(machine.ada)).toEqual([]);
    says(await run({ as: machine.bob, env: { HOME: undefined } }), "there is no spool at /.local");
    await rm(spool, { recursive: true });
    says(await run({ as: machine.bob }), "there is no spool");
  });

  test("it chains, whoever the configuration belongs to", async () => {
    const chained = await machine.program("chained", "#!/bin/sh\nid -u\n");
    await machine.configure(`chain = ${chained}\n`);
    await chown(join(machine.dir, "hook.conf"), machine.ada.uid, 0);
    expect(await run({ as: machine.ada })).toMatchObject({ code: 0, stdout: `${machine.ada.uid}\n` });
  });
});

test("exits with 0 when nobody listens any more", async () => {
  const chained = await machine.program("chained", "#!/bin/sh\nsleep 0.3\nexit 1\n");
  await machine.configure(`chain = ${chained}\n`);
  expect(await run({ redirect: "2> >(exit)" })).toMatchObject({ code: 0 });
});

test.each<[string, HookOptions]>([
  ["an empty environment", { env: { PATH: undefined, NIX_STATE_DIR: undefined, ...unset(built) } }],
  ["a PATH that leads nowhere", { env: { PATH: "/nonexistent" } }],
  ["everything closed", { redirect: "<&- >&- 2>&-" }],
  ["no /proc", { before: "umount -l /proc" }],
])("exits with 0 with %s", async (_, options) => {
  expect((await run(options)).code).toBe(0);
});

function unset(env: Record<string, string>): Record<string, undefined> {
  return Object.fromEntries(Object.keys(env).map((name) => [name, undefined]));
}
