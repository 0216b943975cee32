// What may happen to the files that the daemon lives by: a full disk, a folder that can not be written, something else in a
// file's place, a folder that is deleted. The same daemon lives through all of it, and puts things right when it can.

import { afterEach, describe, expect, it } from "vitest";
import type { Lab } from "./lab.js";
import { build, copiedFrom } from "./store.js";
import type { Tether } from "./tether.js";
import { useTetheredLab } from "./tethered-lab.js";

const nixFolder = "/home/dev/.config/nix";
const overrideFile = `${nixFolder}/nix-tether.conf`;
const stateFolder = "/home/dev/.local/state/nix-tether";
const runtimeFolder = "/run/user/1500/nix-tether";

/** So that the daemon looks at everything again every four seconds, and not every minute. */
const quickPulse = `mkdir -p /etc/systemd/user/nix-tether.service.d
printf '[Service]\\nWatchdogSec=8s\\n' >/etc/systemd/user/nix-tether.service.d/quick.conf`;

/** Puts a file system of 64 KiB over a folder, with what was in it, and fills it up; whose it was, it is. */
const fill = (folder: string): string => `
cp -a ${folder} /tmp/kept
mount -t tmpfs -o size=64k,mode=755,uid=1500,gid=1500 lab-full ${folder}
cp -a /tmp/kept/. ${folder}/ && rm -r /tmp/kept
dd if=/dev/zero of=${folder}/ballast bs=4k 2>/dev/null || true
df --output=avail ${folder} | tail -1`;

describe("a laptop whose disk and files give trouble", () => {
  let lab: Lab;
  let tether: Tether;
  let pid: number;

  const prepare = (fresh: Lab): Promise<unknown> => fresh.exec("laptop", quickPulse);
  useTetheredLab({ nix: "2.8", prepare }, (up) => ({ lab, tether, pid } = up));

  // All is as before, without a restart.
  afterEach(async () => {
    await lab.cable("laptop", "up");
    await tether.waitListed(["pi"], 60_000);
    await lab.waitFor(
      "no warning",
      async () => {
        const { warnings } = await tether.status();
        if (warnings.length > 0) throw new Error(JSON.stringify(warnings));
        return true;
      },
      30_000,
    );
    expect((await tether.status()).pid).toBe(pid);
  });

  async function fetches(salt: string): Promise<void> {
    const { path } = await build(lab, "pi", "one", salt);
    const { log } = await build(lab, "laptop", "one", salt);
    expect([...copiedFrom(log, "pi")]).toEqual([path]);
  }

  async function buildsWithout(salt: string): Promise<string> {
    const { log } = await build(lab, "laptop", "one", salt);
    expect(log).toContain("building");
    return log;
  }

  it("unlists on a full disk, and lists when there is room again", async () => {
    expect((await lab.exec("laptop", fill(nixFolder))).stdout.trim()).toBe("0");
    try {
      await fetches("full-disk");
      await lab.cable("laptop", "down");
      await tether.waitListed([], 15_000);
      await buildsWithout("full-disk-without");
      await lab.cable("laptop", "up");
      expect(await tether.waitWarning(/^override-unwritable$/)).toMatch(/no space left.*Free some space/);
      expect((await tether.cache()).listed).toBe(false);
      await lab.exec("laptop", `rm ${nixFolder}/ballast`);
      await tether.waitListed(["pi"]);
    } finally {
      await lab.exec("laptop", `umount ${nixFolder}`);
    }
  });

  it("can not unlist in a read-only folder: says so, and Nix is told that nothing is here", async () => {
    await lab.exec("laptop", `mount --bind ${nixFolder} ${nixFolder}; mount -o remount,bind,ro ${nixFolder}`);
    try {
      await lab.cable("laptop", "down");
      expect(await tether.waitWarning(/^override-unwritable$/)).toContain("read-only");
      expect((await tether.override()).urls).not.toEqual([]);
      expect(await buildsWithout("read-only")).not.toMatch(/warning|error/);
    } finally {
      await lab.exec("laptop", `umount ${nixFolder}`);
    }
    await tether.waitListed([], 15_000);
  });

  it("takes the place of a link, whose target stays as it is", async () => {
    await tether.shell(`echo theirs >~/theirs; ln -sf ~/theirs ${overrideFile}`);
    await tether.waitListed(["pi"]);
    const { stdout } = await tether.shell(`cat ~/theirs; stat -c %F ${overrideFile}`);
    expect(stdout).toBe("theirs\nregular file\n");
  });

  it("says that a folder is in its place, and lists when it is gone", async () => {
    await tether.shell(`rm ${overrideFile}; mkdir ${overrideFile}`);
    expect(await tether.waitWarning(/^override-unwritable$/)).toContain("it is a folder");
    expect((await tether.cache()).listed).toBe(false);
    await tether.shell(`rmdir ${overrideFile}`);
    await tether.waitListed(["pi"]);
  });

  it("makes its sockets anew when their folder was deleted", async () => {
    await tether.shell(`rm -r ${runtimeFolder}`);
    await fetches("no-runtime-folder");
    await lab.waitFor("the control socket", async () => (await tether.cache()).listed, 30_000);
    const { stdout } = await tether.shell(`stat -c '%a %n' ${runtimeFolder} ${runtimeFolder}/*`);
    expect(stdout).toBe(
      `700 ${runtimeFolder}\n600 ${runtimeFolder}/control.sock\n600 ${runtimeFolder}/pi.sock\n`,
    );
    await tether.shell(`nix store ping --store unix://${runtimeFolder}/pi.sock`);
  });

  it("does without its sockets where they can not be", async () => {
    await lab.exec("laptop", `mount -t tmpfs -o nr_inodes=1,mode=700,uid=1500 lab-full ${runtimeFolder}`);
    try {
      await lab.waitFor(
        "the log to say so",
        async () => {
          const { stdout } = await tether.shell("journalctl --user -u nix-tether.service -o cat --no-pager");
          return (
            /control socket can not be made .*no space/.test(stdout) && /no socket for uploads/.test(stdout)
          );
        },
        30_000,
      );
      await fetches("no-sockets");
    } finally {
      await lab.exec("laptop", `umount ${runtimeFolder}`);
    }
    await lab.waitFor("the control socket", async () => (await tether.cache()).listed, 30_000);
  });

  it("fetches with a full state folder", async () => {
    expect((await lab.exec("laptop", fill(stateFolder))).stdout.trim()).toBe("0");
    try {
      await lab.cable("laptop", "down");
      await tether.waitListed([], 15_000);
      await lab.cable("laptop", "up");
      await tether.waitListed(["pi"], 60_000);
      await fetches("full-state");
    } finally {
      await lab.exec("laptop", `umount ${stateFolder}`);
    }
  });
});
