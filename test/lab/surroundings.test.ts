// Set-ups and surroundings that differ: a strict sshd, uploads, a second cache, a laptop without a system bus.

import { afterEach, describe, expect, it } from "vitest";
import type { Lab } from "./lab.js";
import { configureSshd, restrictKey } from "./pi-sshd.js";
import { build, copiedFrom } from "./store.js";
import { onePi, type Tether } from "./tether.js";
import { useTetheredLab } from "./tethered-lab.js";

const twoCaches = `${onePi}
[caches.nas]
host = "nas.local"
user = "pi"
`;

describe("a laptop and a Pi set up otherwise", () => {
  let lab: Lab;
  let tether: Tether;

  useTetheredLab({ nix: "2.8" }, (up) => ({ lab, tether } = up));

  afterEach(() => tether.waitListed(["pi"], 90_000));

  async function fetchedFrom(cache: string, salt: string): Promise<void> {
    const { path } = await build(lab, "pi", "one", salt);
    const { log } = await build(lab, "laptop", "one", salt);
    expect([...copiedFrom(log, cache)]).toEqual([path]);
  }

  it("uses nix-daemon --stdio where sshd forbids forwarding to sockets", async () => {
    await configureSshd(lab, "AllowStreamLocalForwarding no");
    try {
      await tether.waitCache(
        "online by stdio",
        ({ listed, transport }) => listed && transport === "stdio",
        60_000,
      );
      await fetchedFrom("pi", "no-forwarding");
    } finally {
      await configureSshd(lab, "");
    }
    await tether.waitCache(
      "online by socket",
      ({ listed, transport }) => listed && transport === "socket",
      60_000,
    );
  });

  it("works with a key that may run nothing but nix-daemon --stdio", async () => {
    await restrictKey(lab, 'restrict,command="nix-daemon --stdio" ');
    try {
      await tether.waitCache(
        "online by stdio",
        ({ listed, transport }) => listed && transport === "stdio",
        60_000,
      );
      await fetchedFrom("pi", "forced-command");
    } finally {
      await restrictKey(lab, "");
    }
    await tether.waitCache(
      "online by socket",
      ({ listed, transport }) => listed && transport === "socket",
      60_000,
    );
  });

  it("carries a signed path to the Pi through its socket", async () => {
    const { path } = await build(lab, "laptop", "one", "uploaded");
    await tether.shell(`nix copy --to unix://$XDG_RUNTIME_DIR/nix-tether/pi.sock ${path}`);
    const { stdout } = await lab.exec("pi", `cat ${path}; nix path-info --sigs ${path}`);
    expect(stdout).toContain("one-uploaded");
    expect(stdout).toContain("laptop-1:");
  });

  it("keeps one cache in use while another is dead, and takes that one in when it appears", async () => {
    await tether.configure(twoCaches);
    await tether.waitListed(["pi"]);
    await fetchedFrom("pi", "beside-a-dead-one");
    expect((await tether.cache("nas")).state).not.toBe("online");
    expect((await tether.shell("nix-tether status", { mayFail: true })).code).toBe(3);

    const announcing = lab.start("pi", "exec avahi-publish -a -R nas.local 10.77.0.1");
    try {
      await tether.waitListed(["pi", "nas"], 90_000);
      expect((await tether.shell("nix-tether status")).code).toBe(0);
    } finally {
      await announcing.stop();
      await tether.configure(onePi);
    }
  });

  it("does without a system bus", async () => {
    await lab.exec(
      "laptop",
      "systemctl stop dbus.socket dbus.service NetworkManager.service avahi-daemon.socket avahi-daemon.service",
    );
    try {
      await tether.restart();
      await tether.waitListed(["pi"]);
      await lab.cable("laptop", "down");
      await tether.waitListed([], 15_000);
      await lab.cable("laptop", "up");
      await tether.waitListed(["pi"], 60_000);
    } finally {
      await lab.cable("laptop", "up");
      await lab.exec(
        "laptop",
        "systemctl start dbus.socket dbus.service NetworkManager.service avahi-daemon.service",
      );
      await tether.restart();
    }
  });
});
