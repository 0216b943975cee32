// What goes wrong with the way to the Pi: sshd, addresses, keys, the agent. Each is noticed, said plainly where a person must
// act, and over without a restart of the daemon.

import { afterEach, describe, expect, it } from "vitest";
import type { Lab } from "./lab.js";
import { closeSessions } from "./pi-sshd.js";
import { build, copiedFrom } from "./store.js";
import type { Tether } from "./tether.js";
import { useTetheredLab } from "./tethered-lab.js";

describe("a way to the Pi that breaks", () => {
  let lab: Lab;
  let tether: Tether;
  let pid: number;

  useTetheredLab({ nix: "2.8" }, (up) => ({ lab, tether, pid } = up));

  // Every test leaves the Pi as it found it, and the same daemon finds it again.
  afterEach(async () => {
    await tether.waitListed(["pi"], 90_000);
    expect((await tether.status()).pid).toBe(pid);
  });

  it("unlists when sshd is killed, and lists when it runs again", async () => {
    await lab.exec("pi", "systemctl stop ssh.service");
    await closeSessions(lab);
    try {
      await tether.waitListed([]);
      const cache = await tether.cache();
      expect(cache.state).not.toBe("online");
      expect(cache.reason).not.toBeNull();
    } finally {
      await lab.exec("pi", "systemctl start ssh.service");
    }
    await tether.waitListed(["pi"], 60_000);
  });

  it("follows the Pi to another address", async () => {
    const old = (await tether.cache()).address ?? "";
    // Every address goes, the link-local one too, by which the Pi might be reached as well.
    const move = (ipv4: string, ipv6: string) =>
      lab.exec(
        "pi",
        `ip addr flush dev eth0; ip addr add ${ipv4}/24 dev eth0; ip addr add ${ipv6}/64 dev eth0`,
      );
    await move("10.77.0.9", "fe80::9");
    try {
      const { path } = await build(lab, "pi", "one", "moved");
      const moved = await tether.waitCache(
        "at another address",
        ({ listed, address }) => listed && address !== old,
        60_000,
      );
      expect(moved.address).toMatch(/^(10\.77\.0\.9|fe80::9%eth0)$/);
      const { log } = await build(lab, "laptop", "one", "moved");
      expect([...copiedFrom(log, "pi")]).toEqual([path]);
    } finally {
      await move("10.77.0.1", "fe80::1");
      await tether.waitCache(
        "at the first address",
        ({ listed, address }) => listed && /[.:]1(%eth0)?$/.test(address ?? ""),
        60_000,
      );
    }
  });

  it("refuses a changed host key, and says so", async () => {
    const key = "/etc/ssh/ssh_host_ed25519_key";
    await lab.exec(
      "pi",
      `mv ${key} ${key}.true; ssh-keygen -q -t ed25519 -N '' -f ${key}; systemctl restart ssh.service`,
    );
    await closeSessions(lab);
    try {
      expect(await tether.waitWarning(/^host-key-changed$/)).toContain("pi.local");
      expect((await tether.override()).urls).toEqual([]);
      expect((await tether.cache()).listed).toBe(false);
      const journal = await tether.journal();
      expect(journal.findLast(({ message }) => /host key/.test(message))).toMatchObject({ priority: 4 });
      const online = journal.findLast(({ message }) => message.startsWith("pi is online"));
      expect(online).toMatchObject({ priority: 6 });
      // The journal keeps the time and the priority itself.
      expect(journal.filter(({ message }) => /^<\d>|^\S*\d\d:\d\d:\d\d/.test(message))).toEqual([]);
    } finally {
      await lab.exec("pi", `mv ${key}.true ${key}; systemctl restart ssh.service`);
    }
    await tether.waitListed(["pi"], 90_000);
    expect((await tether.status()).warnings).toEqual([]);
  });

  it("waits for a key in the agent, and goes on when it is there", async () => {
    await tether.shell("ssh-add -q -D");
    await closeSessions(lab);
    try {
      await tether.waitWarning(/^agent-/);
      expect((await tether.override()).urls).toEqual([]);
    } finally {
      await tether.shell("ssh-add -q ~/.ssh/lab");
    }
    await tether.waitListed(["pi"], 60_000);
    expect((await tether.status()).warnings).toEqual([]);
  });
});
