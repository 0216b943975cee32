import { expect, test } from "vitest";
import type { BusSignal } from "../../../src/sources/bus/signals.js";
import { type Meaning, busServices } from "../../../src/sources/netmon/bus-services.js";

const nm = "org.freedesktop.NetworkManager";
const properties = "org.freedesktop.DBus.Properties";

function meaningOf(service: string, signal: Partial<BusSignal>): Meaning | null | undefined {
  const whole = { sender: ":1.7", path: "/", interface: "", member: "", body: [], ...signal };
  return busServices.find(({ name }) => name === service)?.meaning(whole);
}

const changed = (owner: string, names: string[], invalidated: string[] = []): Partial<BusSignal> => ({
  interface: properties,
  member: "PropertiesChanged",
  body: [owner, Object.fromEntries(names.map((name) => [name, {}])), invalidated],
});

test.each<{ what: string; service: string; signal: Partial<BusSignal>; meaning: Meaning | null }>([
  {
    what: "a carrier",
    service: "NetworkManager",
    signal: changed(`${nm}.Device.Wired`, ["Carrier"]),
    meaning: { type: "look", what: "Carrier" },
  },
  {
    what: "addresses, among other things",
    service: "NetworkManager",
    signal: changed(`${nm}.IP4Config`, ["AddressData", "WinsServerData"]),
    meaning: { type: "look", what: "AddressData" },
  },
  {
    what: "a property that is only invalidated",
    service: "NetworkManager",
    signal: changed(`${nm}.Device`, [], ["Ip4Config"]),
    meaning: { type: "look", what: "Ip4Config" },
  },
  {
    what: "a bit rate or a scan",
    service: "NetworkManager",
    signal: changed(`${nm}.Device.Wireless`, ["Bitrate", "LastScan"]),
    meaning: null,
  },
  {
    what: "the manager's state",
    service: "NetworkManager",
    signal: { interface: nm, member: "StateChanged", body: [50] },
    meaning: { type: "look", what: "StateChanged" },
  },
  {
    what: "permissions",
    service: "NetworkManager",
    signal: { interface: nm, member: "CheckPermissions" },
    meaning: null,
  },
  {
    what: "a link's states",
    service: "networkd",
    signal: changed("org.freedesktop.network1.Link", ["CarrierState", "OperationalState"]),
    meaning: { type: "look", what: "CarrierState OperationalState" },
  },
  {
    what: "something else of a link",
    service: "networkd",
    signal: changed("org.freedesktop.network1.Link", ["BitRates"]),
    meaning: null,
  },
  {
    what: "going to sleep",
    service: "logind",
    signal: { interface: "org.freedesktop.login1.Manager", member: "PrepareForSleep", body: [true] },
    meaning: { type: "sleep" },
  },
  {
    what: "waking",
    service: "logind",
    signal: { interface: "org.freedesktop.login1.Manager", member: "PrepareForSleep", body: [false] },
    meaning: { type: "wake" },
  },
  {
    what: "a sleep signal without its argument",
    service: "logind",
    signal: { interface: "org.freedesktop.login1.Manager", member: "PrepareForSleep" },
    meaning: null,
  },
  {
    what: "properties of a body that is none",
    service: "networkd",
    signal: { interface: properties, member: "PropertiesChanged", body: [null, null, null] },
    meaning: null,
  },
])("$service: $what", ({ service, signal, meaning }) => {
  expect(meaningOf(service, signal)).toEqual(meaning);
});

test("every rule asks for one service's signals only", () => {
  for (const { busName, rules } of busServices) {
    for (const rule of rules) expect(rule).toContain(`sender='${busName}'`);
  }
});
