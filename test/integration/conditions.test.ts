// What speaks against uploads, as a real NetworkManager tells it over a real message bus, and UPower's interface on the same.

import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { askMetered } from "../../src/sources/conditions/ask-metered.js";
import { watchConditions, type Conditions } from "../../src/sources/conditions.js";
import { createFakeClock } from "../support/fake-clock.js";
import { createBus, startNetworkManager, type PrivateBus } from "../support/netmon-lab.js";
import { connectCable, createNamespace, stopChild } from "../support/netns.js";
import { silentLog } from "../support/silent-log.js";
import { temporaryFolder } from "../support/temp-folder.js";
import { startUpower } from "../support/upower.js";

const run = promisify(execFile);

async function makeBus(): Promise<PrivateBus> {
  const bus = await createBus();
  onTestFinished(() => bus.remove());
  return bus;
}

/** Everything that the watch has told, in order. */
function watch(busAddress: string, more: Partial<Parameters<typeof watchConditions>[0]> = {}): Conditions[] {
  const told: Conditions[] = [];
  const running = watchConditions({
    log: silentLog,
    busAddress,
    sysPowerSupply: "/nonexistent",
    onConditions: (conditions) => told.push(conditions),
    ...more,
  });
  onTestFinished(() => running.close());
  return told;
}

/** A battery as the kernel shows it. */
function supply(capacity: number): { folder: string; set: (status: string) => void } {
  const folder = temporaryFolder();
  const battery = join(folder, "BAT0");
  mkdirSync(battery);
  const set = (status: string): void => {
    for (const [file, word] of Object.entries({ type: "Battery", present: "1", capacity, status }))
      writeFileSync(join(battery, file), `${word}\n`);
  };
  set("Discharging");
  return { folder, set };
}

const eventually = (told: Conditions[], conditions: Conditions): Promise<void> =>
  expect.poll(() => told.at(-1), { timeout: 10_000, interval: 20 }).toEqual(conditions);

test("NetworkManager: a connection that becomes metered is told at once, and so is its end and NetworkManager's", async () => {
  const bus = await makeBus();
  const laptop = await createNamespace("metered");
  onTestFinished(() => laptop.remove());
  await connectCable({ namespace: laptop, device: "cable0" }, { namespace: laptop, device: "cable1" });
  const told = watch(bus.address);
  await eventually(told, { metered: null, onBattery: null });

  const daemon = await startNetworkManager(laptop, bus, "cable0", "10.79.0.2/24");
  onTestFinished(() => stopChild(daemon, "SIGKILL"));
  const nmcli = (...args: string[]): Promise<unknown> =>
    run("nmcli", args, { env: { ...process.env, DBUS_SYSTEM_BUS_ADDRESS: bus.address } });
  // The property is about the connection with the default route.
  await nmcli("connection", "modify", "lab", "ipv4.gateway", "10.79.0.1");
  await nmcli("connection", "up", "lab");
  await eventually(told, { metered: false, onBattery: null });

  await nmcli("connection", "modify", "lab", "connection.metered", "yes");
  await nmcli("device", "reapply", "cable0");
  await eventually(told, { metered: true, onBattery: null });
  // One that begins now finds it so.
  expect(await askMetered(bus.address)).toBe(true);
  const later = watch(bus.address);
  await eventually(later, { metered: true, onBattery: null });
  expect(later).toHaveLength(1);

  await nmcli("connection", "modify", "lab", "connection.metered", "no");
  await nmcli("device", "reapply", "cable0");
  await eventually(told, { metered: false, onBattery: null });
  expect(await askMetered(bus.address)).toBe(false);
  await stopChild(daemon, "SIGKILL");
  await eventually(told, { metered: null, onBattery: null });
  expect(await askMetered(bus.address)).toBeNull();
  expect(await askMetered("unix:path=/nonexistent/bus")).toBeNull();
});

test("UPower: the charge is told while the machine runs on it", async () => {
  const bus = await makeBus();
  const upower = await startUpower(bus.address, { OnBattery: false, IsPresent: true, Percentage: 80 });
  const { folder } = supply(7);
  const told = watch(bus.address, { sysPowerSupply: folder });
  await eventually(told, { metered: null, onBattery: null });
  upower.set({ Percentage: 79.5 });
  upower.set({ OnBattery: true });
  await eventually(told, { metered: null, onBattery: 79 });
  upower.set({ Percentage: 29.4 });
  await eventually(told, { metered: null, onBattery: 29 });
  upower.set({ IsPresent: false });
  await eventually(told, { metered: null, onBattery: null });
  expect(told).toHaveLength(4);
  // Without it the kernel is asked.
  upower.stop();
  await eventually(told, { metered: null, onBattery: 7 });
});

test("without a bus the kernel's batteries are looked at twice a minute", async () => {
  const clock = createFakeClock();
  const { folder, set } = supply(55);
  const told = watch("unix:path=/nonexistent/bus", { clock, sysPowerSupply: folder });
  await eventually(told, { metered: null, onBattery: 55 });
  set("Charging");
  clock.run(29_000);
  expect(told).toHaveLength(1);
  clock.run(1_500);
  await eventually(told, { metered: null, onBattery: null });
});

test("a service that does not answer is asked again", async () => {
  const bus = await makeBus();
  const upower = await startUpower(bus.address, { OnBattery: true, IsPresent: true, Percentage: 50 });
  const told = watch(bus.address);
  await eventually(told, { metered: null, onBattery: 50 });
  upower.show(false);
  upower.set({ OnBattery: true });
  await eventually(told, { metered: null, onBattery: null });
  upower.show(true);
  await eventually(told, { metered: null, onBattery: 50 });
}, 30_000);
