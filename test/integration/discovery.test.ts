// Discovery against real avahi-daemons, over virtual cables between network namespaces.

import { setTimeout as sleep } from "node:timers/promises";

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

import type { LookupTarget } from "../../src/sources/discovery.js";
import { RECENT_MS } from "../../src/sources/discovery/recent.js";
import { type Avahi, startAvahi } from "../support/avahi.js";
import { compileProgram, type Program } from "../support/compile.js";
import { type DiscoveryProcess, startDiscovery, type TimedResult } from "../support/discovery-process.js";
import { eventually } from "../support/eventually.js";
import { connectCable, createNamespace, type Namespace, removeCable, settleIpv6 } from "../support/netns.js";

let program: Program;
let undo: (() => Promise<void>)[] = [];

beforeAll(async () => {
  program = await compileProgram("test/support/discovery-runner.ts");
});

afterAll(() => program.remove());

afterEach(async () => {
  const failures: unknown[] = [];
  for (const step of undo.toReversed()) await step().catch((error: unknown) => failures.push(error));
  undo = [];
  expect(failures).toEqual([]);
});

async function namespace(label: string, options: { loopback?: boolean } = {}): Promise<Namespace> {
  const made = await createNamespace(`discovery-${label}`, options);
  undo.push(made.remove);
  return made;
}

async function avahi(on: Namespace, options: Parameters<typeof startAvahi>[1]): Promise<Avahi> {
  const started = await startAvahi(on, options);
  undo.push(() => started.stop());
  return started;
}

function discovery(on: Namespace, options: { loopback?: boolean } = {}): DiscoveryProcess {
  const started = startDiscovery(on, program.file, options);
  undo.push(() => started.finish());
  return started;
}

const addressesOf = (result: { endpoints: readonly { address: string }[] }): string[] =>
  result.endpoints.map((endpoint) => endpoint.address);

/**
 * Looks up until this many endpoints are found together: just after its start avahi may hold one of them
 * back.
 */
async function lookUpAll(
  finder: DiscoveryProcess,
  target: LookupTarget,
  count: number,
): Promise<TimedResult> {
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const result = await finder.lookup(target);
    if (result.endpoints.length >= count) return result;
    await sleep(1000);
  }
  return finder.lookup(target);
}

/** The link-local IPv6 address of a device. */
async function linkLocal(on: Namespace, device: string): Promise<string> {
  const shown = await on.ip("-6", "address", "show", "dev", device, "scope", "link");
  return /inet6 (\S+)\//.exec(shown)![1]!;
}

describe("a machine on the same cable", () => {
  let laptop: Namespace;
  let pi: Namespace;

  beforeEach(async () => {
    laptop = await namespace("laptop");
    pi = await namespace("pi");
    await connectCable(
      { namespace: laptop, device: "eth0", addresses: ["10.77.0.2/24"] },
      { namespace: pi, device: "eth0", addresses: ["10.77.0.1/24"] },
    );
    await Promise.all([settleIpv6(laptop), settleIpv6(pi)]);
  });

  it("is found by IPv4 and by scoped IPv6, without a default route", async () => {
    await avahi(pi, { hostname: "pi" });
    const finder = discovery(laptop);
    const result = await lookUpAll(finder, { host: "Pi.Local." }, 2);
    expect(result.how).toBe("mdns");
    expect(result.endpoints).toHaveLength(2);
    expect(result.endpoints).toContainEqual({ address: "10.77.0.1", family: 4 });
    expect(result.endpoints).toContainEqual({ address: `${await linkLocal(pi, "eth0")}%eth0`, family: 6 });
  });

  it("is found without IPv4, by a routed address from which it then answers", async () => {
    await laptop.ip("-4", "address", "flush", "dev", "eth0");
    await pi.ip("-4", "address", "flush", "dev", "eth0");
    await pi.ip("address", "add", "fd77::1/64", "dev", "eth0", "nodad");
    await avahi(pi, { hostname: "pi" });
    const result = await lookUpAll(discovery(laptop), { host: "pi.local" }, 1);
    expect(result.endpoints).toContainEqual({ address: "fd77::1", family: 6 });
  });

  it("is answered again at once and afresh: silence after the machine has gone is silence", async () => {
    const daemon = await avahi(pi, { hostname: "pi" });
    const finder = discovery(laptop);
    for (let round = 0; round < 3; round += 1) {
      const found = await finder.lookup({ host: "pi.local" });
      expect(addressesOf(found)).toContain("10.77.0.1");
      // Its daemon does not repeat within half a second what it has told everybody.
      if (round > 0) expect(found.ms).toBeLessThan(400);
      await finder.refresh({ force: true });
    }
    await daemon.stop("SIGKILL");
    // What it said is taken for its answer until then.
    await sleep(RECENT_MS + 100);
    const result = await finder.lookup({ host: "pi.local" });
    expect(result.endpoints).toEqual([]);
    expect(result.ms).toBeLessThan(2000);
  });

  it("is found next to an avahi-daemon on the asking side, which keeps working", async () => {
    await avahi(pi, { hostname: "pi" });
    await avahi(laptop, { hostname: "laptop" });
    const finder = discovery(laptop);
    expect(addressesOf(await finder.lookup({ host: "pi.local" }))).toContain("10.77.0.1");
    const other = discovery(pi);
    expect(addressesOf(await other.lookup({ host: "laptop.local" }))).toContain("10.77.0.2");
  });

  it("is found by browsing, with the service's port", async () => {
    const services = [
      { instance: "%h", type: "_ssh._tcp", port: 2222 },
      { instance: "Shelf, no. 4: the Pi", type: "_nix-tether._tcp", port: 2223 },
    ];
    await avahi(pi, { hostname: "pi", services });
    const finder = discovery(laptop);
    // An avahi-daemon that has just started may tell of its IPv6 addresses first.
    const isFound = (target: LookupTarget, port: number): Promise<void> =>
      eventually(`${JSON.stringify(target)} is found at port ${port}`, async () => {
        const { endpoints } = await finder.lookup(target);
        return endpoints.some((one) => one.address === "10.77.0.1" && one.port === port);
      });
    const target = { host: "pi.local", service: "_ssh._tcp" };
    await isFound(target, 2222);
    expect((await finder.lookup(target)).how).toBe("service");
    const instance = "shelf, no. 4: the\\032Pi";
    await isFound({ host: "pi", service: "_nix-tether._tcp", instance }, 2223);
    await isFound({ host: "pi.local", service: "_nix-tether._tcp" }, 2223);

    const nobody = await finder.lookup({ host: "other.local", service: "_ssh._tcp" });
    expect(nobody.endpoints).toEqual([]);
  });

  it("is found on every cable, each address with the scope of its own", async () => {
    await connectCable(
      { namespace: laptop, device: "eth1", addresses: ["10.78.0.2/24"] },
      { namespace: pi, device: "lan1", addresses: ["10.78.0.1/24"] },
    );
    await Promise.all([settleIpv6(laptop), settleIpv6(pi)]);
    await avahi(pi, { hostname: "pi" });
    const finder = discovery(laptop);
    const result = await lookUpAll(finder, { host: "pi.local" }, 4);
    const expected = ["10.77.0.1", "10.78.0.1"];
    expected.push(`${await linkLocal(pi, "eth0")}%eth0`, `${await linkLocal(pi, "lan1")}%eth1`);
    expect(addressesOf(result).toSorted()).toEqual(expected.toSorted());
  });

  it("announces a changed address to a watch, and says goodbye and hello", async () => {
    const services = [{ instance: "%h", type: "_ssh._tcp", port: 22 }];
    const daemon = await avahi(pi, { hostname: "pi", services });
    const finder = discovery(laptop);
    await finder.watch({ host: "pi.local" });
    await finder.watch({ host: "pi", service: "_ssh._tcp" });
    await sleep(3000); // avahi repeats its first announcements
    expect(addressesOf(await finder.lookup({ host: "pi.local" }))).toContain("10.77.0.1");
    expect(addressesOf(await finder.lookup({ host: "pi", service: "_ssh._tcp" }))).toContain("10.77.0.1");

    let seen = finder.news.length;
    await pi.ip("address", "add", "10.77.0.9/24", "dev", "eth0");
    await pi.ip("address", "delete", "10.77.0.1/24", "dev", "eth0");
    await pi.ip("address", "replace", "10.77.0.9/24", "dev", "eth0");
    for (const port of [undefined, 22]) {
      const moved = await finder.nextNews(
        ({ kind, endpoints }) =>
          kind === "announced" &&
          endpoints.some((endpoint) => endpoint.address === "10.77.0.9" && endpoint.port === port) &&
          !endpoints.some((endpoint) => endpoint.address === "10.77.0.1"),
        seen,
      );
      expect(moved.endpoints.length).toBeLessThanOrEqual(2);
    }

    seen = finder.news.length;
    await daemon.stop();
    for (const port of [undefined, 22]) {
      await finder.nextNews(
        ({ kind, endpoints }) =>
          kind === "goodbye" &&
          endpoints.some((endpoint) => endpoint.address === "10.77.0.9" && endpoint.port === port),
        seen,
      );
    }
    expect((await finder.lookup({ host: "pi.local" })).endpoints).toEqual([]);

    seen = finder.news.length;
    await avahi(pi, { hostname: "pi", services });
    for (const port of [undefined, 22]) {
      await finder.nextNews(
        ({ kind, endpoints }) => kind === "announced" && endpoints.some((endpoint) => endpoint.port === port),
        seen,
      );
    }
  });

  it("does not turn the answers to its own questions into news", async () => {
    await avahi(pi, { hostname: "pi" });
    await sleep(3000);
    const finder = discovery(laptop);
    await finder.watch({ host: "pi.local" });
    for (let round = 0; round < 3; round += 1) {
      expect(addressesOf(await finder.lookup({ host: "pi.local" }))).toContain("10.77.0.1");
      await sleep(1200);
    }
    expect(finder.news).toEqual([]);
  });

  it("hears answers to other machines' questions as announcements", async () => {
    await avahi(pi, { hostname: "pi" });
    await sleep(3000);
    const finder = discovery(laptop);
    await finder.watch({ host: "pi.local" });
    const other = discovery(laptop);
    expect(addressesOf(await other.lookup({ host: "pi.local" }))).toContain("10.77.0.1");
    const news = await finder.nextNews(({ kind }) => kind === "announced");
    expect(addressesOf(news)).toContain("10.77.0.1");
  });

  it("is found again after the interface was deleted and made anew with the same address", async () => {
    await avahi(pi, { hostname: "pi" });
    const finder = discovery(laptop);
    const mac = "02:00:00:00:77:02";
    const here = { namespace: laptop, device: "eth0", addresses: ["10.77.0.2/24"], mac };
    const there = { namespace: pi, device: "eth0", addresses: ["10.77.0.1/24"] };
    await removeCable(here);
    await connectCable(here, there);
    await settleIpv6(laptop);
    await sleep(1500);
    expect(addressesOf(await finder.lookup({ host: "pi.local" }))).toContain("10.77.0.1");

    // Seen by itself: the interface has another number.
    await removeCable(here);
    await connectCable(here, there);
    await Promise.all([settleIpv6(laptop), settleIpv6(pi)]);
    await sleep(1500);
    await finder.refresh();
    expect(addressesOf(await finder.lookup({ host: "pi.local" }))).toContain("10.77.0.1");

    // With neither an IPv6 scope nor a new address it looks like the old one, whose membership the kernel has
    // dropped.
    await laptop.exec("sysctl", "-qw", "net.ipv6.conf.eth0.disable_ipv6=1");
    await laptop.exec("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1");
    expect(addressesOf(await finder.lookup({ host: "pi.local" }))).toContain("10.77.0.1");
    await removeCable(here);
    await connectCable(here, there);
    await sleep(1500);
    expect(addressesOf(await finder.lookup({ host: "pi.local" }))).toEqual([]);
    await finder.refresh({ force: true });
    expect(addressesOf(await finder.lookup({ host: "pi.local" }))).toContain("10.77.0.1");
  });
});

describe("a machine without a network", () => {
  it("finds nothing and fails nothing; a cable plugged in later is used", async () => {
    const laptop = await namespace("laptop", { loopback: false });
    const pi = await namespace("pi");
    const finder = discovery(laptop);
    await finder.watch({ host: "pi.local" });
    const none = await finder.lookup({ host: "pi.local" });
    expect(none.endpoints).toEqual([]);
    expect(none.ms).toBeLessThan(2000);

    await connectCable(
      { namespace: laptop, device: "eth0", addresses: ["10.77.0.2/24"] },
      { namespace: pi, device: "eth0", addresses: ["10.77.0.1/24"] },
    );
    await finder.refresh();
    await avahi(pi, { hostname: "pi" });
    const news = await finder.nextNews(({ kind }) => kind === "announced");
    expect(addressesOf(news)).toContain("10.77.0.1");
    expect(addressesOf(await finder.lookup({ host: "pi.local" }))).toContain("10.77.0.1");

    await pi.ip("address", "flush", "dev", "eth0");
    await laptop.ip("address", "flush", "dev", "eth0");
    await laptop.ip("address", "add", "10.79.0.2/24", "dev", "eth0");
    await pi.ip("address", "add", "10.79.0.1/24", "dev", "eth0");
    await sleep(1500);
    expect(addressesOf(await finder.lookup({ host: "pi.local" }))).toContain("10.79.0.1");
  });

  it("finds a name on its own loopback interface only where that is asked for", async () => {
    const alone = await namespace("alone");
    await avahi(alone, { hostname: "demo", services: [{ instance: "%h", type: "_ssh._tcp", port: 2200 }] });
    const finder = discovery(alone, { loopback: true });
    expect(await finder.lookup({ host: "demo.local" })).toMatchObject({
      endpoints: expect.arrayContaining([{ address: "127.0.0.1", family: 4 }]) as unknown,
    });
    expect(await finder.lookup({ host: "demo", service: "_ssh._tcp" })).toMatchObject({
      endpoints: expect.arrayContaining([{ address: "127.0.0.1", family: 4, port: 2200 }]) as unknown,
    });
    const shy = discovery(alone);
    expect((await shy.lookup({ host: "demo.local" })).endpoints).toEqual([]);
  });
});
