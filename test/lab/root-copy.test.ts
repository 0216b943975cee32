// Root's own commands and a user's caches: fetched from while they are in reach, not heard of when they are not, and
// nothing that the user does makes root ask anybody else.

import { readFileSync } from "node:fs";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Lab, type NixVersion } from "./lab.js";
import { build, copiedFrom, type Built } from "./store.js";
import { Tether, onePi } from "./tether.js";

const copyFile = "/run/nix-tether/dev.conf";

describe.each<NixVersion>(["2.8", "2.34"])("with Nix %s", (nix) => {
  let lab: Lab;
  let tether: Tether;

  beforeAll(async () => {
    lab = await Lab.up({ nix });
    tether = await Tether.install(lab, onePi);
    await tether.waitListed(["pi"]);
    const page = readFileSync(new URL("../../docs/setup-linux.md", import.meta.url), "utf8");
    const [, commands = ""] = /## Root's own commands.*?```sh\n(.*?)```/s.exec(page) ?? [];
    await lab.exec(
      "laptop",
      `useradd -m -G nix-users bob
      cd /opt/nix-tether; sudo() { "$@"; }; USER=dev; loginctl() { :; }
      set -e; ${commands}
      # Every minute would be long to wait for.
      mkdir /etc/systemd/system/nix-tether-root@.timer.d
      printf '[Timer]\nOnUnitInactiveSec=3\nAccuracySec=1\n' >/etc/systemd/system/nix-tether-root@.timer.d/soon.conf
      systemctl daemon-reload; systemctl restart nix-tether-root@dev.timer`,
    );
  });

  afterAll(() => lab?.down());

  beforeEach(() => tether.showLogOnFailure());

  /** What the copy says, once it says that the Pi is there, or that it is not. */
  const waitCopy = (listed: boolean): Promise<string> =>
    lab.waitFor(
      `root's copy ${listed ? "lists" : "is empty"}`,
      async () => {
        const { stdout } = await lab.exec("laptop", `cat ${copyFile}`);
        return stdout.includes("extra-substituters") === listed && stdout;
      },
      20_000,
    );

  const nixBuild = (salt: string): string =>
    `nix-build --no-out-link /opt/nix-tether/test/lab/closure.nix -A one --argstr salt ${salt.replace(/[^a-z0-9]+/gi, "-")}`;
  const asRoot = async (salt: string, environment: string): Promise<Built> => {
    const { stdout, stderr } = await lab.exec("laptop", `${environment} ${nixBuild(salt)}`);
    return { path: stdout.trim(), log: stderr };
  };
  const asBob = async (salt: string): Promise<Built> => {
    const { stdout, stderr } = await lab.user("laptop", "bob", nixBuild(`bob-${salt}`));
    return { path: stdout.trim(), log: stderr };
  };
  const expectBuilt = ({ log }: Built): void => {
    expect(log).toContain("building");
    expect(log).not.toMatch(/37515|warning|error/);
  };

  it("lists for root what was in reach already, and only root reads it", async () => {
    const [url = ""] = (await tether.override()).urls;
    expect(await waitCopy(true)).toContain(`extra-substituters = ${url}\n`);
    const { stdout } = await lab.exec("laptop", `stat -c '%a %U' ${copyFile} /run/nix-tether`);
    expect(stdout).toBe("600 root\n755 root\n");
    for (const [host, user] of [
      ["laptop", "dev"],
      ["laptop", "bob"],
    ] as const) {
      const { stderr } = await lab.user(host, user, "nix-store --version; nix-build --version");
      expect(stderr).toBe("");
    }
  });

  it.each(["NIX_REMOTE=daemon", "NIX_REMOTE=local"])("root fetches from the Pi with %s", async (way) => {
    const salt = `for-root-${way.replace("NIX_REMOTE=", "")}`;
    const { path } = await build(lab, "pi", "one", salt);
    const built = await asRoot(salt, way);
    expect(built.path).toBe(path);
    expect([...copiedFrom(built.log, "pi")]).toEqual([path]);
  });

  it("is forgotten when the Pi goes, also by a nix-daemon that has begun in between", async () => {
    await lab.exec("laptop", "systemctl restart nix-daemon.service");
    await lab.cable("laptop", "down");
    await waitCopy(false);
    for (const way of ["NIX_REMOTE=daemon", "NIX_REMOTE=local"])
      expectBuilt(await asRoot(`away-${way}`, way));
    await lab.cable("laptop", "up");
    await waitCopy(true);
  });

  // The same with every Nix, so once is enough.
  if (nix === "2.34") {
    it("lets nothing of a hostile user's through, and works afterwards", async () => {
      await tether.shell(
        `cd ~/.config/nix; file=nix-tether.conf
      systemctl --user stop nix-tether.service
      attack() { sleep 0.5; rm -f $file; }
      echo 'extra-substituters = http://evil/ http://127.0.0.1:37515/pi/0?priority=30&trusted=true' >$file; attack
      printf 'post-build-hook = /tmp/evil\ninclude /tmp/evil\n' >$file; attack
      ln -s /etc/shadow $file; attack
      mkfifo $file; attack
      truncate -s 10G $file; attack
      for i in $(seq 5000); do echo $i >$file; done`,
      );
      expect(await waitCopy(false)).not.toMatch(/^[^#]/m);
      await tether.shell("systemctl --user start nix-tether.service");
      await waitCopy(true);
    });
  }

  it("is forgotten by everybody when the user's session ends, and when it is killed", async () => {
    const end = async (command: string): Promise<void> => {
      await lab.exec("laptop", `systemctl restart nix-daemon.service; ${command}`);
      await waitCopy(false);
      for (const way of ["NIX_REMOTE=daemon", "NIX_REMOTE=local"])
        expectBuilt(await asRoot(`${command}-${way}`, way));
      expectBuilt(await asBob(command));
    };
    await end("systemctl stop user@1500.service");
    await lab.exec("laptop", "systemctl start user@1500.service");
    await waitCopy(true);
    await end("systemctl kill --signal=KILL user@1500.service");
    expect((await lab.exec("laptop", "cat /home/dev/.config/nix/nix-tether.conf")).stdout).toContain("37515");
  });
});
