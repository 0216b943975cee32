// Addresses that come, go and change, on either side and in either family: the same daemon follows the Pi.

import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { delay } from "../../src/util/abort.js";
import type { CacheStatus } from "../../src/control/messages.js";
import type { Lab } from "./lab.js";
import { Laptop } from "./laptop.js";
import { expectFetched } from "./store.js";
import type { Tether } from "./tether.js";
import { useTetheredLab } from "./tethered-lab.js";

describe("a network whose addresses change", () => {
  let lab: Lab;
  let laptop: Laptop;
  let tether: Tether;
  let pid: number;

  useTetheredLab({ nix: "2.8" }, (up) => {
    ({ lab, tether, pid } = up);
    laptop = new Laptop(lab);
  });

  // Every test leaves the Pi to be found, and the same daemon finds it.
  afterEach(async () => {
    await tether.waitListed(["pi"], 60_000);
    expect((await tether.status()).pid).toBe(pid);
  });

  const listedAt =
    (expected: string | RegExp) =>
    ({ listed, address }: CacheStatus): boolean =>
      listed && (typeof expected === "string" ? address === expected : expected.test(address ?? ""));

  describe("without IPv4", () => {
    beforeAll(async () => {
      // Where IPv4 goes while avahi starts, it tells of no address at all.
      await lab.waitFor("avahi to tell an IPv6 address", async () => {
        const resolve = "timeout 5 avahi-resolve -6 -n pi.local";
        return (await lab.exec("laptop", resolve, { mayFail: true })).stdout.includes("fe80:");
      });
      await lab.exec("pi", "ip -4 address flush dev eth0");
      await laptop.set("ipv4.method disabled");
      // The link may have been by IPv6 and look well: it is given up when nothing has answered for two seconds.
      await delay(3_000);
    });

    afterAll(async () => {
      await lab.exec("pi", "ip address add 10.77.0.1/24 dev eth0; ip address del fd77::1/64 dev eth0");
      await laptop.set("ipv4.method manual ipv6.method link-local ipv6.addresses ''");
    });

    it("finds the Pi by its link-local address", async () => {
      await tether.waitCache("a link-local address", listedAt(/^fe80:.*%eth0$/));
      await expectFetched(lab, tether, "link-local");
    });

    it("finds the Pi by a routed address", async () => {
      // avahi tells no link-local address where there is another.
      await lab.exec("pi", "ip address add fd77::1/64 dev eth0 nodad");
      await lab.waitFor("avahi to tell it", async () =>
        (await lab.exec("pi", "avahi-resolve -6 -n pi.local")).stdout.includes("fd77::1"),
      );
      await laptop.set("ipv6.method manual ipv6.addresses fd77::2/64");
      // By the other one the link may stand, and then there is no reason to leave it.
      await lab.cable("laptop", "down");
      await tether.waitListed([]);
      await lab.cable("laptop", "up");
      await tether.waitCache("the routed address", listedAt("fd77::1"));
      await expectFetched(lab, tether, "routed");
    });
  });

  describe("where addresses change", () => {
    // By IPv6 the link would stand through all of it.
    beforeAll(() => laptop.set("ipv6.method disabled"));
    afterAll(() => laptop.set("ipv6.method link-local"));

    /** Milliseconds from `begin` until the Pi is in use at this address. */
    async function followed(address: string, begin: () => Promise<unknown>): Promise<number> {
      const before = Date.now();
      await begin();
      return Date.parse((await tether.waitCache(`at ${address}`, listedAt(address))).since) - before;
    }

    it("follows both machines to another subnet", async () => {
      for (const subnet of ["10.78.0", "10.77.0"]) {
        const ms = await followed(`${subnet}.1`, async () => {
          await lab.exec("pi", `ip -4 address flush dev eth0; ip address add ${subnet}.1/24 dev eth0`);
          await laptop.set(`ipv4.addresses ${subnet}.2/24`);
        });
        expect(ms).toBeLessThanOrEqual(5_000);
        await expectFetched(lab, tether, `subnet-${subnet}`);
      }
    });

    it("follows the Pi alone, sooner than by its silence", async () => {
      for (const [from, to] of [
        ["10.77.0.1", "10.77.0.9"],
        ["10.77.0.9", "10.77.0.1"],
      ] as const) {
        const move = `ip address del ${from}/24 dev eth0; ip address add ${to}/24 dev eth0`;
        expect(await followed(to, () => lab.exec("pi", move))).toBeLessThanOrEqual(5_000);
      }
    });
  });

  describe("over an interface that NetworkManager does not manage", () => {
    beforeAll(async () => {
      await laptop.addTunnel();
      await tether.useHost("pi-tunnel", "Host pi-tunnel\n  HostName 10.99.0.1\n  HostKeyAlias pi.local");
      ({ pid } = await tether.status());
    });

    afterAll(async () => {
      await laptop.removeTunnel();
      await tether.useHost("pi.local");
    });

    it.each([
      ["is gone", "ip link del tun-laptop", 2_000],
      ["lets nothing through", "ip link set tun-pi down", 10_000],
    ])("notices that it %s", async (_what, fault, withinMs) => {
      const before = Date.now();
      await lab.net("switch", fault);
      const { changedAt } = await tether.waitListed([]);
      expect(changedAt - before).toBeLessThanOrEqual(withinMs);
      await laptop.removeTunnel();
      await laptop.addTunnel();
    });
  });
});
