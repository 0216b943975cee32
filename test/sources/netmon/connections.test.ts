// What is made of NetworkManager's answers; test/integration/netmon.test.ts asks a real one.

import { expect, test } from "vitest";
import { createConnectionNames, type ConnectionNames } from "../../../src/sources/netmon/connections.js";
import { createFakeClock, type FakeClock } from "../../support/fake-clock.js";
import { silentLog } from "../../support/silent-log.js";

const nm = "org.freedesktop.NetworkManager";
const root = "/org/freedesktop/NetworkManager";

type Objects = Record<string, Record<string, unknown>>;

const wired = { State: 2, Id: "desk", Type: "802-3-ethernet", Devices: ["/d/eth0"], SpecificObject: "/" };
const wifi = {
  State: 2,
  Id: "home",
  Type: "802-11-wireless",
  Devices: ["/d/wlan0"],
  SpecificObject: "/ap/1",
};
const vpn = { State: 2, Id: "work", Type: "vpn", Devices: ["/d/wlan0"], SpecificObject: "/c/home" };
const devices: Objects = {
  "/d/eth0": { IpInterface: "eth0", Interface: "eth0" },
  "/d/wlan0": { IpInterface: "", Interface: "wlan0" },
  "/ap/1": { Ssid: Buffer.from("Café Ülm") },
};
const connected = (connections: Objects): Objects => ({
  ...devices,
  ...connections,
  [root]: { ActiveConnections: Object.keys(connections) },
});

function setUp(): {
  names: ConnectionNames;
  told: unknown[];
  clock: FakeClock;
  answer: (given: Objects | null) => void;
} {
  let objects: Objects | null = null;
  const told: unknown[] = [];
  const clock = createFakeClock();
  const names = createConnectionNames({
    property: async (of, name) => {
      expect(of.interface.startsWith(nm)).toBe(true);
      const object = objects?.[of.path];
      if (object === undefined) throw new Error(`no object ${of.path}`);
      return object[name];
    },
    onKnown: () => told.push(names.current()),
    clock,
    log: silentLog,
  });
  return { names, told, clock, answer: (given) => (objects = given) };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("connections that are up, with the Wi-Fi's name and the interfaces", async () => {
  const { names, told, answer } = setUp();
  answer(connected({ "/c/desk": wired, "/c/home": wifi, "/c/work": vpn, "/c/new": { ...wired, State: 1 } }));
  expect(names.current()).toBeNull();
  names.ask();
  await settled();
  expect(told).toEqual([
    [
      { name: "desk", ssid: null, interfaces: ["eth0"] },
      { name: "home", ssid: "Café Ülm", interfaces: ["wlan0"] },
      { name: "work", ssid: null, interfaces: ["wlan0"] },
    ],
  ]);
});

test("one that goes away while it is asked is none, and takes no other along", async () => {
  const { names, told, answer } = setUp();
  answer({ ...connected({ "/c/desk": wired }), [root]: { ActiveConnections: ["/c/gone", "/c/desk"] } });
  names.ask();
  await settled();
  expect(told).toEqual([[{ name: "desk", ssid: null, interfaces: ["eth0"] }]]);
});

test("while it is asked nothing is known, and an answer to an older question does not count", async () => {
  const { names, told, answer } = setUp();
  answer(connected({ "/c/desk": wired }));
  names.ask();
  await settled();
  names.ask();
  expect(names.current()).toBeNull();
  answer(connected({ "/c/home": wifi }));
  names.ask();
  await settled();
  expect(told).toHaveLength(2);
  expect(names.current()).toMatchObject([{ name: "home" }]);
});

test("who does not answer tells of none, and is asked again", async () => {
  const { names, told, clock, answer } = setUp();
  names.ask();
  await settled();
  expect(told).toEqual([[]]);
  answer(connected({ "/c/desk": wired }));
  clock.run(5_000);
  await settled();
  expect(names.current()).toMatchObject([{ name: "desk" }]);
});

test("who does not run tells of none; nothing is told after the end", async () => {
  const { names, told, answer } = setUp();
  answer(connected({ "/c/desk": wired }));
  names.ask();
  names.forget();
  await settled();
  expect(told).toEqual([[]]);
  names.ask();
  names.close();
  await settled();
  expect(told).toEqual([[]]);
});
