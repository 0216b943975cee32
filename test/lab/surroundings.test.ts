// Set-ups and surroundings that differ: a strict sshd, uploads, a second cache, other ways for other networks, a laptop
// without a system bus.

import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { delay } from "../../src/util/abort.js";
import type { Lab } from "./lab.js";
import { Laptop } from "./laptop.js";
import { configureSshd, restrictKey } from "./pi-sshd.js";
import { build, copiedFrom } from "./store.js";
import { startAvahi, startSshd, strangersAddress } from "./stranger.js";
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

  describe("with ways for the network at home and for others", () => {
    let laptop: Laptop;
    const onlyAtHome = `${onePi}networks = ["lab"]\n`;
    const byTunnel = "10.99.0.1";
    const orBy = (keys: string): string =>
      `${onlyAtHome}[[caches.pi.ways]]\nhost = "${byTunnel}"\n${keys}\n[uploads]\nto = ["pi"]`;

    beforeAll(async () => {
      laptop = new Laptop(lab);
      await laptop.prepare({ home: "10.77.0.1", cafe: strangersAddress });
    });

    afterAll(() => tether.configure(onePi));

    /** The ports of all connections by the tunnel that the Pi's sshd tells of or holds: of their end it may hear late. */
    const knocks = async (): Promise<string[]> => {
      const { stdout } = await lab.exec("pi", "journalctl -u ssh --no-pager -o cat; ss -Htn dst 10.99.0.2");
      const ports = [...stdout.matchAll(/\b10\.99\.0\.2\]?(?: port |:)(\d+)/g)].map(([, port = ""]) => port);
      return [...new Set(ports)].toSorted();
    };

    it("knocks nowhere but at home, and says why", async () => {
      await tether.configure(onlyAtHome);
      await tether.waitListed(["pi"]);
      const [sshd, avahi] = [await startSshd(lab), await startAvahi(lab)];
      try {
        await laptop.goTo("cafe");
        const { reason } = await tether.waitCache(
          "not tried",
          (cache) => cache.reason?.startsWith("not") === true,
        );
        expect(reason).toBe("not tried on this network (cafe): only on lab");
        await delay(3_000);
        expect((await tether.cache()).reason).toBe(reason);
        expect(sshd.log()).not.toContain("Connection from");
      } finally {
        await laptop.goTo("home");
        await avahi.stop();
        await sshd.stop();
      }
    });

    it("goes another way elsewhere, without uploads, and its own again at home", async () => {
      await laptop.addTunnel();
      try {
        await tether.configure(orBy("uploads = false"));
        await tether.waitCache("at home", ({ listed, way }) => listed && way?.host === "pi.local");
        await laptop.goTo("cafe");
        const away = await tether.waitCache("away", ({ listed, way }) => listed && way?.host === byTunnel);
        expect(away.address).toBe(byTunnel);
        await fetchedFrom("pi", "by-the-tunnel");
        const { path } = await build(lab, "laptop", "one", "not-by-the-tunnel");
        await tether.shell(`nix-tether enqueue ${path}`);
        await delay(2_000);
        expect((await tether.status()).uploads).toMatchObject({ waiting: 1, uploaded: 0 });

        // The tunnel goes on: it is left for the better way.
        await laptop.goTo("home");
        await tether.waitCache("home", ({ listed, way }) => listed && way?.host === "pi.local");
        await lab.waitFor("the upload", async () => (await tether.status()).uploads.uploaded === 1, 20_000);
        await lab.exec("pi", `nix-store --check-validity ${path}`);
      } finally {
        await laptop.goTo("home");
        await laptop.removeTunnel();
      }
    });

    it("goes a way that is only for when it is asked for then, and not before or after", async () => {
      await laptop.addTunnel();
      try {
        await tether.configure(orBy("only-when-asked = true"));
        await tether.waitListed(["pi"]);
        await laptop.goTo("cafe");
        const hint = /only when you ask for it: nix-tether connect pi$/;
        await tether.waitCache("the hint", ({ reason }) => hint.test(reason ?? ""));
        // Until NetworkManager names the other network the way at home is tried, and its name is answered in the tunnel too.
        const before = await knocks();
        await delay(2_500);
        expect(await knocks()).toEqual(before);

        await tether.shell("nix-tether connect pi");
        await tether.waitCache("asked for", ({ listed, way }) => listed && way?.host === byTunnel);
        await fetchedFrom("pi", "asked-for");
        expect(await knocks()).not.toEqual(before);

        await tether.shell("nix-tether pause pi; nix-tether resume pi");
        await tether.waitCache("the hint again", ({ reason }) => hint.test(reason ?? ""));
        await tether.waitListed([]);
      } finally {
        await laptop.goTo("home");
        await laptop.removeTunnel();
      }
    });
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
