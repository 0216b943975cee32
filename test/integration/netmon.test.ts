// The network watch against a real message bus, NetworkManager, logind and the kernel, in namespaces.

import { execFile } from "node:child_process";
import { rm } from "node:fs/promises";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import {
  type Line,
  type PrivateBus,
  type Watch,
  buildRunner,
  createBus,
  listLocks,
  startLogind,
  startNetworkManager,
  startNetworkd,
  startWatch,
} from "../support/netmon-lab.js";
import { startWifi } from "../support/wifi.js";
import { connectTo, forgeSleep, startUnitManager } from "../support/netmon-units.js";
import { type Namespace, connectCable, createNamespace, stopChild } from "../support/netns.js";

const run = promisify(execFile);
const device = "cable0";
const noBus = "unix:path=/nonexistent/bus";

let build: string;
let laptop: Namespace;
let peer: Namespace;
const cleanUps: (() => Promise<void>)[] = [];

beforeAll(async () => {
  build = await buildRunner();
});
afterAll(() => rm(build, { recursive: true }));

beforeEach(async () => {
  laptop = await createNamespace("netmon-laptop");
  cleanUps.push(() => laptop.remove());
  peer = await createNamespace("netmon-peer");
  cleanUps.push(() => peer.remove());
  await connectCable({ namespace: laptop, device }, { namespace: peer, device });
});
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

async function makeBus(limits?: string): Promise<PrivateBus> {
  const bus = await createBus(limits);
  cleanUps.push(() => bus.remove());
  return bus;
}

function watch(busAddress: string, ...names: "names"[]): Watch {
  const started = startWatch(laptop, build, busAddress, ...names);
  cleanUps.push(() => stopChild(started.child, "SIGKILL"));
  return started;
}

const isWatching =
  (...names: string[]) =>
  (line: Line): boolean =>
    JSON.stringify(line.log?.["watching"]) === JSON.stringify(names);

const hasCarrier =
  (carrier: boolean) =>
  (line: Line): boolean =>
    line.type === "network" &&
    line.changed === true &&
    line.state?.interfaces.find((one) => one.name === device)?.carrier === carrier;

const hasAddress =
  (address: string) =>
  (line: Line): boolean =>
    line.type === "network" &&
    line.state?.interfaces.some((one) => one.name === device && one.addresses.includes(address)) === true;

async function eventually(holds: () => Promise<boolean>): Promise<void> {
  await expect.poll(holds, { timeout: 10_000, interval: 100 }).toBe(true);
}

test("NetworkManager: a pulled cable is told at once, and so is its return", async () => {
  const bus = await makeBus();
  await startNetworkManager(laptop, bus, device, "10.79.0.2/24");
  const netmon = watch(bus.address);
  await netmon.next(isWatching("NetworkManager"));

  const pulledAt = Date.now();
  await peer.ip("link", "set", device, "down");
  const pulled = await netmon.next(hasCarrier(false));
  // Milliseconds in quiet; the comparison, which must not be what we see here, takes up to 2 s.
  expect(pulled.at! - pulledAt).toBeLessThan(1_000);
  // The first reading, which follows the bus, may come as late as that.
  expect(pulled.cause).toMatch(/NetworkManager|^bus$/);
  expect(pulled.state?.interfaces).toEqual([{ name: device, carrier: false, addresses: [], gateways: [] }]);

  const from = netmon.lines.length;
  const pluggedAt = Date.now();
  await peer.ip("link", "set", device, "up");
  const plugged = await netmon.next(hasCarrier(true), { from });
  expect(plugged.at! - pluggedAt).toBeLessThan(1_000);
  await netmon.next(hasAddress("10.79.0.2"), { from });
  expect(await netmon.finish()).toBe(0);
});

test("NetworkManager: its connections' names, never an old one once it has let go of it", async () => {
  const bus = await makeBus();
  const netmon = watch(bus.address, "names");
  // Who is not there tells of none.
  await netmon.next((line) => line.connections?.length === 0);
  await startNetworkManager(laptop, bus, device, "10.79.0.2/24");
  const nmcli = (...args: string[]): Promise<unknown> =>
    run("nmcli", args, { env: { ...process.env, DBUS_SYSTEM_BUS_ADDRESS: bus.address } });
  const on =
    (name: string) =>
    (line: Line): boolean =>
      line.connections?.some((one) => one.name === name && one.interfaces.includes(device)) === true;
  await netmon.next(on("lab"));

  const from = netmon.lines.length;
  const cafe = ["con-name", "cafe", "type", "ethernet", "ifname", device, "ipv4.method", "manual"];
  await nmcli("connection", "add", ...cafe, "ipv4.addresses", "10.88.0.2/24", "ipv4.gateway", "10.88.0.1");
  await nmcli("connection", "up", "cafe");
  await netmon.next(on("cafe"), { from });
  const since = netmon.lines.slice(from).filter((line) => line.type === "network");
  const first = since.findIndex((line) => line.state?.interfaces[0]?.addresses.includes("10.88.0.2"));
  expect(first).toBeGreaterThanOrEqual(0);
  expect(since.slice(first).filter(on("lab"))).toEqual([]);
  await netmon.next((line) => line.state?.interfaces[0]?.gateways.includes("10.88.0.1") === true, { from });
  expect(await netmon.finish()).toBe(0);
});

test("NetworkManager: the Wi-Fi's name, and another one's when it is joined", async () => {
  const bus = await makeBus();
  const wifi = await startWifi(bus.address, { name: "Our Wi-Fi", ssid: "Käfig", on: device });
  cleanUps.push(async () => wifi.stop());
  const netmon = watch(bus.address, "names");
  await netmon.next((line) => line.connections?.[0]?.ssid === "Käfig");
  wifi.join("Guests", "Käfig (guests)");
  const joined = await netmon.next((line) => line.connections?.[0]?.ssid === "Käfig (guests)");
  expect(joined.connections).toEqual([{ name: "Guests", ssid: "Käfig (guests)", interfaces: [device] }]);
  expect(await netmon.finish()).toBe(0);
});

test("networkd: its address, a pulled cable and its return are told at once", async () => {
  const bus = await makeBus();
  const netmon = watch(bus.address);
  await netmon.next((line) => line.log?.["cause"] === "bus");
  startNetworkd(laptop, bus, device, "10.79.3.2/24");
  await netmon.next(isWatching("networkd"));
  await netmon.next(hasAddress("10.79.3.2"));

  const from = netmon.lines.length;
  const pulledAt = Date.now();
  await peer.ip("link", "set", device, "down");
  const pulled = await netmon.next(hasCarrier(false), { from });
  expect(pulled.at! - pulledAt).toBeLessThan(1_000);
  expect(pulled.cause).toContain("networkd");
  await peer.ip("link", "set", device, "up");
  await netmon.next(hasAddress("10.79.3.2"), { from });
  expect(await netmon.finish()).toBe(0);
});

test("without a bus, the comparison finds a new address, another router and a pulled cable", async () => {
  const netmon = watch(noBus);
  await netmon.next(isWatching("interfaces"));
  await laptop.ip("address", "add", "10.79.1.2/24", "dev", device);
  const added = await netmon.next(hasAddress("10.79.1.2"));
  expect(added).toMatchObject({ changed: true, moved: true, cause: "interfaces" });
  await laptop.ip("route", "add", "default", "via", "10.79.1.1");
  await netmon.next((line) => line.state?.interfaces[0]?.gateways.includes("10.79.1.1") === true);
  // As a container's start looks from outside.
  await laptop.ip("link", "add", "vc0", "type", "veth", "peer", "name", "vc1");
  for (const end of ["vc0", "vc1"]) await laptop.ip("link", "set", end, "up");
  const hasVc0 = (line: Line): boolean => line.state?.interfaces.some((one) => one.name === "vc0") === true;
  expect(await netmon.next(hasVc0)).toMatchObject({ changed: true, moved: false });
  await peer.ip("link", "set", device, "down");
  await netmon.next(hasCarrier(false));
  expect(await netmon.finish()).toBe(0);
});

test("a bus that dies and returns: the comparison stands in, then the bus tells again", async () => {
  const bus = await makeBus();
  const netmon = watch(bus.address);
  await netmon.next((line) => line.log?.["cause"] === "bus");
  expect(netmon.lines.filter((line) => line.type === "network")).toEqual([]);

  await bus.kill();
  await netmon.next((line) => line.log?.["cause"] === "no bus");
  await peer.ip("link", "set", device, "down");
  const compared = await netmon.next(hasCarrier(false));
  expect(compared.cause).toBe("interfaces");
  await peer.ip("link", "set", device, "up");
  await netmon.next(hasCarrier(true));

  await bus.start();
  await netmon.next((line) => line.type === "network" && line.cause === "bus");
  await startNetworkManager(laptop, bus, device, "10.79.2.2/24");
  await netmon.next(isWatching("NetworkManager"));
  const from = netmon.lines.length;
  await peer.ip("link", "set", device, "down");
  const pulled = await netmon.next(hasCarrier(false), { from });
  expect(pulled.cause).toContain("NetworkManager");
  expect(netmon.lines.filter((line) => line.cause === "bus")).toHaveLength(1);
  expect(await netmon.finish()).toBe(0);
});

test("a bus that refuses us brings nothing down and is tried again", async () => {
  const bus = await makeBus('<limit name="max_connections_per_user">1</limit>');
  const only = await connectTo(bus.address);
  const netmon = watch(bus.address);
  await netmon.next((line) => line.log?.["cause"] === "no bus");
  only.disconnect();
  await netmon.next((line) => line.type === "network" && line.cause === "bus");
  expect(await netmon.finish()).toBe(0);
});

test("logind: sleep waits for the answer, waking is told, and the lock dies with the process", async () => {
  const bus = await makeBus();
  const units = await startUnitManager(bus.address);
  cleanUps.push(async () => units.close());
  const netmon = watch(bus.address);
  await netmon.next((line) => line.log?.["cause"] === "bus");
  startLogind(laptop, bus);
  await netmon.next(isWatching("interfaces", "logind"));
  await eventually(async () => (await listLocks(bus)).some((lock) => lock.includes("nix-tether")));

  let asleep = false;
  void units.suspended.then(() => {
    asleep = true;
  });
  const manager = ["org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager"];
  await laptop.exec("busctl", `--address=${bus.address}`, "call", ...manager, "Suspend", "b", "false");
  await netmon.next((line) => line.type === "sleep");
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(asleep).toBe(false);
  netmon.send("done");
  await units.suspended;
  expect(await listLocks(bus)).toEqual([]);

  units.wake();
  const wake = await netmon.next((line) => line.type === "wake");
  expect(wake.cause).toBe("logind");
  await eventually(async () => (await listLocks(bus)).length === 1);

  process.kill(netmon.lines.find((line) => line.type === "started")!.pid!, "SIGKILL");
  await eventually(async () => (await listLocks(bus)).length === 0);
});

test("a sleep signal that does not come from logind is not believed", async () => {
  const bus = await makeBus();
  const stranger = await connectTo(bus.address);
  cleanUps.push(async () => stranger.disconnect());
  const netmon = watch(bus.address);
  startLogind(laptop, bus);
  await netmon.next(isWatching("interfaces", "logind"));
  await forgeSleep(stranger);
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(netmon.lines.some((line) => line.type === "sleep")).toBe(false);
  expect(await netmon.finish()).toBe(0);
  await eventually(async () => (await listLocks(bus)).length === 0);
});
