// The laptop sleeps, goes to a café, and changes from Wi-Fi to cable: the same daemon finds the Pi again, and takes nobody
// else for it.

import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { delay } from "../../src/util/abort.js";
import type { Lab, Running } from "./lab.js";
import { Laptop } from "./laptop.js";
import { ListingWatch } from "./listing-watch.js";
import { build, copiedFrom, expectFetched, realise } from "./store.js";
import {
  connections,
  nameServer,
  type Portal,
  startAvahi,
  startMimic,
  startPortal,
  startSshd,
  strangersAddress,
} from "./stranger.js";
import type { Tether } from "./tether.js";
import { useTetheredLab } from "./tethered-lab.js";

describe("a laptop that moves about", () => {
  let lab: Lab;
  let laptop: Laptop;
  let tether: Tether;
  let pid: number;

  const prepare = async (fresh: Lab): Promise<void> => {
    laptop = new Laptop(fresh);
    await laptop.prepare({ home: "10.77.0.1", cafe: strangersAddress });
  };
  useTetheredLab({ nix: "2.8", prepare }, (up) => ({ lab, tether, pid } = up));

  // Every test leaves the laptop at home, and the same daemon finds the Pi there.
  afterEach(async () => {
    await tether.waitListed(["pi"], 60_000);
    expect((await tether.status()).pid).toBe(pid);
  });

  describe("asleep", () => {
    it("has left before the machine sleeps, and looks at once when it wakes", async () => {
      const { stdout: locks } = await lab.exec("laptop", "systemd-inhibit --list --no-legend");
      expect(locks).toMatch(/^nix-tether .* sleep .* delay$/m);
      await laptop.sleepIs(
        `cp /home/dev/.config/nix/nix-tether.conf /run/asleep.conf
        ss -tnH state established dport = 22 >/run/asleep.tcp
        sleep 1
        date +%s%N >/run/awake`,
      );
      await lab.exec("laptop", "systemctl suspend");
      const awake = await lab.waitFor("waking", async () => {
        return Number((await lab.exec("laptop", "cat /run/awake")).stdout) / 1e6;
      });
      const { stdout } = await lab.exec("laptop", "cat /run/asleep.conf /run/asleep.tcp");
      expect(stdout.split("\n").filter((line) => line !== "" && !line.startsWith("#"))).toEqual([]);
      const { changedAt } = await tether.waitListed(["pi"]);
      expect(changedAt - awake).toBeLessThanOrEqual(5_000);
      await expectFetched(lab, tether, "awake");
      // sshd was told: no session of before the sleep lingers.
      const { stdout: sessions } = await lab.exec("pi", "pgrep -fa '^sshd: pi@'");
      expect(sessions.trim().split("\n")).toHaveLength(1);
    });

    it("is there again after a sleep that fails, and after another right behind it", async () => {
      await laptop.sleepIs("exit 1");
      for (let n = 0; n < 2; n++) {
        const before = Date.now();
        await lab.exec("laptop", "systemctl suspend");
        await lab.waitFor("unlisted", async () => (await tether.override()).changedAt > before);
        await tether.waitListed(["pi"], 5_000);
      }
    });
  });

  describe("where others use the name", () => {
    it("refuses the machine in a café, shows it no key, and is back at once at home", async () => {
      const [sshd, avahi] = [await startSshd(lab), await startAvahi(lab)];
      const watch = await ListingWatch.start(lab);
      try {
        await laptop.goTo("cafe");
        await tether.waitListed([]);
        const away = Date.now();
        expect(await tether.waitWarning(/^host-key-changed$/)).toContain("pi.local");
        await delay(1_000);
        expect(sshd.log()).toContain("Connection from 10.88.0.2");
        expect(sshd.log()).not.toMatch(/userauth|publickey/);
        const left = Date.now();
        await laptop.goTo("home");
        const { changedAt } = await tether.waitListed(["pi"]);
        // After a refusal in the same network it would rest for 15 s.
        expect(changedAt - left).toBeLessThanOrEqual(5_000);
        expect(watch.samples.filter(({ listed, at }) => listed && at > away && at < left)).toEqual([]);
      } finally {
        await laptop.goTo("home");
        await watch.stop();
        await avahi.stop();
        await sshd.stop();
      }
      await expectFetched(lab, tether, "home-again");
      expect((await tether.status()).warnings).toEqual([]);
    });

    it("finds the right one of two machines that answer", async () => {
      // They do not hear each other, as behind some access points: the Pi would give way and change its name.
      const isolate = (state: string): Promise<unknown> =>
        lab.net("switch", `for port in pi stranger; do bridge link set dev to-$port isolated ${state}; done`);
      await lab.cable("stranger", "home");
      await isolate("on");
      await lab.net("stranger", "ip address add 10.77.0.66/24 dev eth0");
      const [sshd, mimic] = [await startSshd(lab), await startMimic(lab, "10.77.0.66")];
      try {
        for (let n = 0; n < 2; n++) {
          await lab.cable("laptop", "down");
          await tether.waitListed([]);
          await lab.cable("laptop", "up");
          await tether.waitListed(["pi"]);
        }
        await expectFetched(lab, tether, "beside-a-mimic");
        expect(mimic.log()).toContain("asked");
        expect(sshd.log()).not.toMatch(/userauth|publickey/);
      } finally {
        await mimic.stop();
        await sshd.stop();
        await lab.net("stranger", "ip address del 10.77.0.66/24 dev eth0");
        await isolate("off");
        await lab.cable("stranger", "cafe");
      }
    });

    describe("an ordinary one", () => {
      let dns: Running;

      beforeAll(async () => {
        dns = lab.start("pi", `exec /opt/node -e '${nameServer("10.77.0.1")}'`);
        await tether.useHost("pi.example", "Host pi.example\n  HostKeyAlias pi.local");
        ({ pid } = await tether.status());
      });

      afterAll(async () => {
        await tether.useHost("pi.local");
        ({ pid } = await tether.status());
        await dns.stop();
      });

      it("takes no captive portal for the Pi, does not hammer it, and is back at once at home", async () => {
        const watch = await ListingWatch.start(lab);
        const away = Date.now();
        try {
          for (const portal of ["refuses", "is silent", "speaks HTTP", "is dead"] satisfies Portal[]) {
            const server = await startPortal(lab, portal);
            await laptop.goTo("cafe");
            await laptop.rejoinCafe();
            const before = await connections(lab);
            await delay(3_500);
            expect((await connections(lab)) - before).toBeLessThanOrEqual(8);
            expect((await tether.cache()).state).not.toBe("online");
            await server.stop();
          }
          const left = Date.now();
          await laptop.goTo("home");
          const { changedAt } = await tether.waitListed(["pi"]);
          // The resolver alone would wait longer for the portal's dead name server.
          expect(changedAt - left).toBeLessThanOrEqual(4_500);
          const listings = watch.samples.filter(({ listed, at }) => listed && at > away + 1_000 && at < left);
          expect(listings).toEqual([]);
        } finally {
          await laptop.goTo("home");
          await watch.stop();
        }
      });
    });
  });

  describe("with another cable or none", () => {
    it("goes from Wi-Fi to the cable in the middle of a download, which notices nothing", async () => {
      const { path } = await build(lab, "pi", "big", "wifi");
      await laptop.addWifi();
      try {
        await lab.cable("laptop", "down");
        await tether.waitListed([]);
        const onWifi = await tether.waitCache("over Wi-Fi", ({ listed }) => listed);
        await lab.cable("laptop", "up");
        await delay(2_000);
        // A second way is no reason to leave the first.
        expect((await tether.cache()).since).toBe(onWifi.since);

        const before = await tether.cache();
        const fetching = realise(lab, path);
        await lab.waitFor(
          "a part of it",
          async () => (await tether.cache()).narBytes > before.narBytes + 30e6,
        );
        const cut = Date.now();
        await lab.cable("wifi", "down");
        const { log } = await fetching;
        const after = await tether.cache();
        expect([...copiedFrom(log, "pi")]).toEqual([path]);
        expect(log).not.toMatch(/error|retry|unexpected/i);
        expect(after.resumed - before.resumed).toBe(1);
        expect(Date.parse(after.since) - cut).toBeLessThanOrEqual(3_000);
      } finally {
        await laptop.removeWifi();
      }
    });

    it("is not listed while the cable flaps, and is in the end", async () => {
      const watch = await ListingWatch.start(lab);
      const flaps = [1, 0.1, 0.3, 1.5, 0.2].map(
        (seconds, n) =>
          `ip link set to-laptop down; sleep ${seconds}; ip link set to-laptop up; sleep ${0.2 * (n + 1)};`,
      );
      await lab.net("switch", flaps.join(" "));
      await tether.waitListed(["pi"]);
      await delay(2_000);
      await watch.stop();
      expect(watch.samples.at(-1)).toMatchObject({ listed: true, carriers: ["eth0"] });
      expect(watch.samples.some(({ carriers }) => carriers.length === 0)).toBe(true);
      let carrierAt = 0;
      for (const [n, { at, listed, carriers }] of watch.samples.entries()) {
        const until = watch.samples[n + 1]?.at ?? at;
        if (carriers.length > 0) carrierAt = until;
        // The carrier may go in the moment in which it is listed, or listed again.
        else if (listed)
          expect(until - carrierAt, `listed at ${at} without a carrier`).toBeLessThanOrEqual(500);
      }
    });
  });
});
