// The daemon itself goes away in the middle of a build: killed, replaced by another version, broken so that it can not start
// again. The build succeeds each time, and what is dead is not listed.

import { beforeEach, describe, expect, it } from "vitest";
import { delay } from "../../src/util/abort.js";
import type { Lab, NixVersion } from "./lab.js";
import { build, copiedFrom, verify, type Built } from "./store.js";
import type { Tether } from "./tether.js";
import { useTetheredLab } from "./tethered-lab.js";

const program = "/usr/local/bin/nix-tether";

describe.each<NixVersion>(["2.8", "2.34"])("with Nix %s, the daemon", (nix) => {
  let lab: Lab;
  let tether: Tether;

  // Ten times 8 MB then take some five seconds.
  const prepare = (fresh: Lab): Promise<void> => fresh.bandwidth("laptop", "150mbit");
  useTetheredLab({ nix, prepare }, (up) => ({ lab, tether } = up));

  beforeEach(async () => {
    // Ten starts in three minutes are too many, and each test makes some.
    await tether.shell("systemctl --user reset-failed nix-tether.service");
  });

  const kill = "systemctl --user kill --signal=KILL --kill-who=main nix-tether.service";

  /** Builds on the laptop what the Pi has, and does something to the daemon when a part of it has been fetched. */
  async function inTheMiddle(salt: string, happens: () => Promise<unknown>): Promise<Built> {
    await build(lab, "pi", "parts", salt);
    const { narBytes } = await tether.cache();
    const running = build(lab, "laptop", "parts", salt);
    await tether.waitCache("a part of the paths", (now) => now.narBytes - narBytes >= 12 * 2 ** 20);
    await happens();
    const built = await running;
    await verify(lab, built.path);
    expect(copiedFrom(built.log, "pi").size).toBeGreaterThanOrEqual(2);
    return built;
  }

  it("is killed in the middle of a build: the build succeeds, and the next daemon is asked", async () => {
    const { pid } = await tether.status();
    await inTheMiddle("killed", () => tether.shell(kill));
    await tether.waitListed(["pi"]);
    const after = await tether.status();
    expect(after.pid).not.toBe(pid);
    expect(after.caches["pi"]?.narBytes).toBeGreaterThan(0);
  });

  it("is killed while the Pi is away: the next one lists only what it has reached itself", async () => {
    const { pid } = await tether.status();
    await lab.cable("pi", "down");
    try {
      await tether.shell(kill);
      await lab.waitFor("another daemon", async () => (await tether.status()).pid !== pid);
      for (let i = 0; i < 5; i += 1) {
        expect((await tether.override()).urls).toEqual([]);
        await delay(500);
      }
    } finally {
      await lab.cable("pi", "up");
    }
    await tether.waitListed(["pi"], 60_000);
  });

  it("is replaced by another version: the build succeeds, and the new one is asked", async () => {
    await lab.exec(
      "laptop",
      `mkdir /opt/next
      cp -r /opt/nix-tether/dist /opt/next
      sed 's/"version": "[^"]*"/"version": "99.0.0"/' /opt/nix-tether/package.json >/opt/next/package.json
      ln -s /opt/nix-tether/node_modules /opt/next/node_modules`,
    );
    const upgrade = (): Promise<unknown> =>
      lab.exec("laptop", `sed -i s:/opt/nix-tether:/opt/next: ${program}`);
    await inTheMiddle("upgraded", async () => {
      await upgrade();
      await tether.restart();
    });
    await tether.waitListed(["pi"]);
    const { pid, caches } = await tether.status();
    expect((await tether.shell("nix-tether --version")).stdout.trim()).toBe("99.0.0");
    expect((await tether.shell(`tr '\\0' ' ' </proc/${pid}/cmdline`)).stdout).toContain("/opt/next/dist/");
    expect(caches["pi"]?.narBytes).toBeGreaterThan(0);
  });

  it("can not start any more: the build succeeds, and later ones see no cache", async () => {
    const { path } = await build(lab, "pi", "one", "mended");
    const [url = ""] = (await tether.override()).urls;
    await lab.exec("laptop", `cp ${program} ${program}.good`);
    try {
      const { log } = await inTheMiddle("broken", async () => {
        await lab.exec("laptop", `printf '#!/bin/sh\\nexit 1\\n' >${program}`);
        await tether.shell(kill);
      });
      expect(log).toContain("building");
      const { stdout } = await tether.shell(
        "systemctl --user show -p ActiveState --value nix-tether.service nix-tether-away.socket",
      );
      expect(stdout.trim().split(/\n+/)).toEqual(["failed", "active"]);
      expect((await tether.override()).urls).toEqual([]);
      // Of a Nix that was started before, and so remembers what it is told.
      const ask = `nix-store -r ${path} --option substituters '${url}'`;
      expect((await tether.shell(ask, { mayFail: true })).code).not.toBe(0);
      const later = await build(lab, "laptop", "one", "later");
      expect(later.log).not.toMatch(/37515|tether|substitut|cache|warning|error/i);
    } finally {
      await lab.exec("laptop", `mv ${program}.good ${program}`);
    }
    await tether.shell("systemctl --user reset-failed nix-tether.service");
    await tether.restart();
    expect((await tether.waitListed(["pi"])).urls).not.toContain(url);
    const { log } = await build(lab, "laptop", "one", "mended");
    expect([...copiedFrom(log, "pi")]).toEqual([path]);
  });
});
