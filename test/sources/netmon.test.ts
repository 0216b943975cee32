// The watch without a bus, on fake time and a folder that stands for /sys/class/net.

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Netmon, type NetmonEvent, startNetmon } from "../../src/sources/netmon.js";
import { type FakeClock, createFakeClock } from "../support/fake-clock.js";

let folder: string;
let clock: FakeClock;
let events: NetmonEvent[];
let netmon: Netmon;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "netmon-sys-"));
  await mkdir(join(folder, "x0"));
  await setCarrier("1");
  clock = createFakeClock();
  events = [];
  netmon = startNetmon({
    log: pino({ level: "silent" }),
    onEvent: (event) => {
      events.push(event);
      if (events.length === 1) throw new Error("from the handler");
    },
    busAddress: "unix:path=/nonexistent/bus",
    sysClassNet: folder,
    clock,
  });
});
afterEach(async () => {
  await netmon.close();
  await rm(folder, { recursive: true });
});

const setCarrier = (value: string): Promise<void> => writeFile(join(folder, "x0", "carrier"), `${value}\n`);
const seen = (): string[] =>
  events.map((event) =>
    event.type === "network"
      ? `${event.cause} ${event.changed}`
      : `${event.type} ${"cause" in event ? event.cause : ""}`,
  );

test("says that it compares, and what it found", () => {
  expect(netmon.watching).toEqual(["interfaces"]);
  expect(netmon.current().interfaces).toContainEqual({
    name: "x0",
    carrier: true,
    addresses: [],
    gateways: [],
  });
  clock.run(60_000);
  expect(events).toEqual([]);
});

test("a difference is told at the next comparison and looked at once more; a failing handler does not end it", async () => {
  await setCarrier("0");
  clock.run(1_999);
  expect(seen()).toEqual([]);
  clock.run(1);
  expect(seen()).toEqual(["interfaces true"]);
  expect(netmon.current().interfaces).toContainEqual({
    name: "x0",
    carrier: false,
    addresses: [],
    gateways: [],
  });
  clock.run(10_000);
  expect(seen()).toEqual(["interfaces true", "interfaces false"]);
});

test("a jump of the wall clock is a waking, and the network is looked at", () => {
  clock.run(5_000);
  clock.suspend(3_600_000);
  clock.run(5_000);
  expect(seen()).toEqual(["wake clock", "wake false"]);
});

test("nothing is told after close", async () => {
  await setCarrier("0");
  clock.run(2_000);
  await netmon.close();
  clock.suspend(3_600_000);
  clock.run(60_000);
  expect(seen()).toEqual(["interfaces true"]);
});

test.each(["", "nonsense", "unix:", "unix:abstract=x", "tcp:host=localhost,port=1"])(
  "a useless bus address %j is no error",
  async (busAddress) => {
    const other = startNetmon({
      log: pino({ level: "silent" }),
      onEvent: () => undefined,
      busAddress,
      clock,
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(other.watching).toEqual(["interfaces"]);
    await other.close();
  },
);
