import type { NetworkInterfaceInfo } from "node:os";

import { describe, expect, it } from "vitest";

import { isLinkLocal, isLoopback, MAX_LINKS, multicastLinks } from "../../../src/sources/discovery/links.js";

const mac = "02:00:00:00:00:01";

function v4(cidr: string, more: Partial<NetworkInterfaceInfo> = {}): NetworkInterfaceInfo {
  const address = cidr.split("/")[0]!;
  return {
    family: "IPv4",
    address,
    cidr,
    netmask: "",
    mac,
    internal: false,
    ...more,
  } as NetworkInterfaceInfo;
}

function v6(
  address: string,
  scopeid: number,
  more: Partial<NetworkInterfaceInfo> = {},
): NetworkInterfaceInfo {
  const cidr = `${address}/64`;
  return {
    family: "IPv6",
    address,
    cidr,
    netmask: "",
    mac,
    internal: false,
    scopeid,
    ...more,
  } as NetworkInterfaceInfo;
}

const home = { eth0: [v4("192.168.1.5/24"), v6("fd00::5", 0), v6("fe80::5", 2)] };
const lo = { lo: [v4("127.0.0.1/8", { internal: true }), v6("::1", 0, { internal: true })] };
const links = (interfaces: NodeJS.Dict<NetworkInterfaceInfo[]>, includeLoopback = false) =>
  multicastLinks(interfaces, { includeLoopback });
const keys = (interfaces: NodeJS.Dict<NetworkInterfaceInfo[]>) => links(interfaces).map((link) => link.key);

describe("multicastLinks", () => {
  it("has one link for each interface and family that can be asked", () => {
    expect(links({ ...lo, ...home }).map(({ name, family, address }) => [name, family, address])).toEqual([
      ["eth0", 4, "192.168.1.5"],
      ["eth0", 6, "fe80::5"],
    ]);
    expect(links({})).toEqual([]);
    expect(links({ tun0: [v6("fd00::7", 0)] })).toEqual([]);
  });

  it("has the loopback interface only where asked for", () => {
    expect(links(lo)).toEqual([]);
    expect(links(lo, true)).toMatchObject([{ name: "lo", family: 4, address: "127.0.0.1", loopback: true }]);
    expect(links(home, true).map(({ loopback }) => loopback)).toEqual([false, false]);
  });

  it("puts IPv4 first and is bounded", () => {
    const containers = Object.fromEntries(
      Array.from({ length: 60 }, (_, index) => [`veth${index}`, [v6(`fe80::${index + 10}`, index + 10)]]),
    );
    const many = links({ ...containers, ...home });
    expect(many).toHaveLength(MAX_LINKS);
    expect(many[0]).toMatchObject({ name: "eth0", family: 4 });
  });

  it("believes a source on the link's own networks only", () => {
    const [four, six] = links({ eth0: [v4("192.168.1.5/24"), v4("10.0.0.5/8"), v6("fe80::5", 2)] });
    expect(four?.hears("192.168.1.200")).toBe(true);
    expect(four?.hears("10.200.0.1")).toBe(true);
    expect(four?.hears("192.168.2.1")).toBe(false);
    expect(four?.hears("::ffff:192.168.1.200")).toBe(false);
    expect(six?.hears("fe80::9%eth0")).toBe(true);
    expect(six?.hears("fe80::9%eth1")).toBe(false);
    expect(six?.hears("fd00::9")).toBe(false);
  });

  it("believes every source where the own address has no network", () => {
    expect(links({ ppp0: [v4("10.9.9.9/32")] })[0]?.hears("192.168.2.1")).toBe(true);
  });

  it("believes on loopback only this machine, whatever addresses it keeps there", () => {
    const more = ["10.9.9.9/32", "192.168.1.7/24"].map((cidr) => v4(cidr, { internal: true }));
    const [link] = links({ lo: [...lo.lo, ...more] }, true);
    for (const own of ["127.0.0.1", "127.8.8.8", "10.9.9.9", "192.168.1.7"])
      expect(link?.hears(own)).toBe(true);
    for (const other of ["10.9.9.8", "192.168.1.8"]) expect(link?.hears(other)).toBe(false);
  });

  it("changes a link's key exactly when its socket would be deaf", () => {
    expect(keys({ ...home, eth1: [v4("10.0.0.5/8")] })).toEqual(expect.arrayContaining(keys(home)));
    const changed = {
      address: { eth0: [v4("192.168.1.6/24"), v6("fe80::5", 2)] },
      network: { eth0: [v4("192.168.1.5/16"), v6("fe80::5", 2)] },
      number: { eth0: [v4("192.168.1.5/24"), v6("fe80::5", 9)] },
      hardware: { eth0: [v4("192.168.1.5/24", { mac: "02:00:00:00:00:09" }), v6("fe80::5", 2)] },
    };
    for (const interfaces of Object.values(changed)) expect(keys(interfaces)[0]).not.toBe(keys(home)[0]);
    expect(keys(changed.number)[1]).not.toBe(keys(home)[1]);
    expect(keys(changed.address)[1]).toBe(keys(home)[1]);
  });
});

describe("isLoopback", () => {
  it.each([
    ["127.0.0.1", true],
    ["127.255.0.9", true],
    ["::1", true],
    ["128.0.0.1", false],
    ["::2", false],
    ["10.0.0.1", false],
  ])("%s", (address, expected) => {
    expect(isLoopback(address)).toBe(expected);
  });
});

describe("isLinkLocal", () => {
  it.each([
    ["fe80::1", true],
    ["FEBF::1%eth0", true],
    ["fec0::1", false],
    ["fd00::1", false],
    ["169.254.1.1", false],
  ])("%s", (address, expected) => {
    expect(isLinkLocal(address)).toBe(expected);
  });
});
