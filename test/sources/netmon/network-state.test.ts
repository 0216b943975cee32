import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  type NetworkState,
  readNetworkState,
  sameNetwork,
  samePlace,
} from "../../../src/sources/netmon/network-state.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "netmon-sys-"));
});
afterEach(() => rm(folder, { recursive: true }));

async function addInterface(name: string, files: Record<string, string>): Promise<void> {
  await mkdir(join(folder, name));
  for (const [file, text] of Object.entries(files)) await writeFile(join(folder, name, file), `${text}\n`);
}

const carrierOf = (name: string): boolean | undefined =>
  readNetworkState(folder).interfaces.find((one) => one.name === name)?.carrier;

test("the carrier decides, the operational state stands in where it cannot be read", async () => {
  await addInterface("x-plugged", { carrier: "1", operstate: "unknown" });
  await addInterface("x-unplugged", { carrier: "0", operstate: "down" });
  await addInterface("x-off", { operstate: "down" });
  await addInterface("x-up", { operstate: "up" });
  await addInterface("x-bare", {});
  expect(["x-plugged", "x-unplugged", "x-off", "x-up", "x-bare"].map(carrierOf)).toEqual([
    true,
    false,
    false,
    true,
    false,
  ]);
});

test("interfaces are sorted by name; loopback and files among them are left out", async () => {
  for (const name of ["x-b", "x-a", "lo"]) await addInterface(name, { carrier: "1" });
  await writeFile(join(folder, "bonding_masters"), "\n");
  const names = readNetworkState(folder).interfaces.map((one) => one.name);
  expect(names).toEqual(names.toSorted());
  expect(names).toEqual(expect.arrayContaining(["x-a", "x-b"]));
  expect(names).not.toContain("lo");
  expect(names).not.toContain("bonding_masters");
});

test("this machine's own addresses are found, with or without /sys", () => {
  const expected = Object.entries(networkInterfaces())
    .map(([name, entries]) => ({ name, entries: (entries ?? []).filter((entry) => !entry.internal) }))
    .filter(({ entries }) => entries.length > 0)
    .map(({ name, entries }) => ({
      name,
      carrier: true,
      addresses: entries.map((entry) => entry.address).toSorted(),
      gateways: expect.any(Array) as string[],
    }));
  const sorted = expected.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  expect(readNetworkState(join(folder, "missing")).interfaces).toEqual(sorted);
  expect(readNetworkState().interfaces).toEqual(expect.arrayContaining(sorted));
});

const state = (...interfaces: [string, boolean, ...string[]][]): NetworkState => ({
  interfaces: interfaces.map(([name, carrier, ...addresses]) => ({
    name,
    carrier,
    addresses,
    gateways: [],
  })),
});

test.each<{ what: string; other: NetworkState; same: boolean }>([
  { what: "equal", other: state(["e", true, "10.0.0.1", "fe80::1"], ["w", false]), same: true },
  { what: "a carrier lost", other: state(["e", false], ["w", false]), same: false },
  { what: "an address changed", other: state(["e", true, "10.0.0.2", "fe80::1"], ["w", false]), same: false },
  { what: "an address gone", other: state(["e", true, "10.0.0.1"], ["w", false]), same: false },
  {
    what: "an address more",
    other: state(["e", true, "10.0.0.1", "fe80::1", "fe80::2"], ["w", false]),
    same: false,
  },
  { what: "an interface gone", other: state(["e", true, "10.0.0.1", "fe80::1"]), same: false },
  {
    what: "an interface renamed",
    other: state(["e", true, "10.0.0.1", "fe80::1"], ["x", false]),
    same: false,
  },
])("comparison: $what", ({ other, same }) => {
  const one = state(["e", true, "10.0.0.1", "fe80::1"], ["w", false]);
  expect(sameNetwork(one, other)).toBe(same);
  expect(sameNetwork(other, one)).toBe(same);
});

test.each<[string, [string, boolean, ...string[]][], boolean]>([
  ["the same", [["eth0", true, "10.0.0.2", "fe80::2"]], true],
  ["a link-local address comes late", [["eth0", true, "10.0.0.2"]], true],
  [
    "a container starts",
    [
      ["eth0", true, "10.0.0.2", "fe80::2"],
      ["veth12", true, "fe80::99"],
    ],
    true,
  ],
  ["the cable is pulled", [["eth0", false]], false],
  ["another address", [["eth0", true, "10.0.0.3", "fe80::2"]], false],
  ["one more address", [["eth0", true, "10.0.0.2", "fd00::2", "fe80::2"]], false],
  ["the same address elsewhere", [["wlan0", true, "10.0.0.2", "fe80::2"]], false],
])("the same place: %s", (_what, interfaces, same) => {
  const before = state(["eth0", true, "10.0.0.2", "fe80::2"]);
  expect(samePlace(before, state(...interfaces))).toBe(same);
});
