import { expect, it } from "vitest";
import {
  needNames,
  openWays,
  waysNow,
  type Network,
  type NetworkRule,
  type Way,
} from "../../src/decision/ways.js";

const rule = (kind: NetworkRule["kind"], value: string): NetworkRule => ({ kind, value });
const way = (networks: Way["networks"], onlyWhenAsked = false): Way => ({ networks, onlyWhenAsked });

/** Wi-Fi with carrier, and a cable that is not plugged in. */
const network = (changes: Partial<Network> = {}): Network => ({
  state: {
    interfaces: [
      { name: "eth0", carrier: false, addresses: [], gateways: [] },
      { name: "wlan0", carrier: true, addresses: ["192.168.1.7"], gateways: ["192.168.1.1"] },
    ],
  },
  connections: [
    { name: "desk", ssid: null, interfaces: ["eth0"] },
    { name: "home", ssid: "Our Wi-Fi", interfaces: ["wlan0"] },
  ],
  ...changes,
});

const hereOf = (networks: Way["networks"], on: Network): boolean | null | undefined =>
  waysNow("pi", [way(networks)], on).each[0]?.here;

it.each<[what: string, networks: Way["networks"], here: boolean]>([
  ["every network", null, true],
  ["this connection", [rule("connection", "home")], true],
  ["another one", [rule("connection", "cafe")], false],
  ["one of several", [rule("connection", "cafe"), rule("ssid", "Our Wi-Fi")], true],
  ["a Wi-Fi of the connection's name", [rule("ssid", "home")], false],
  ["the gateway", [rule("gateway", "192.168.1.1")], true],
  ["another gateway", [rule("gateway", "192.168.1.254")], false],
  ["a connection that stands only because NetworkManager waits", [rule("connection", "desk")], false],
])("a way for %s", (_what, networks, here) => {
  expect(hereOf(networks, network())).toBe(here);
});

it("is not known to be here or not while NetworkManager is being asked, but by its gateway", () => {
  const asking = network({ connections: null });
  expect(hereOf([rule("ssid", "Our Wi-Fi")], asking)).toBeNull();
  expect(hereOf([rule("gateway", "192.168.1.1"), rule("ssid", "x")], asking)).toBe(true);
  expect(hereOf([rule("gateway", "10.0.0.1")], asking)).toBe(false);
  expect(hereOf(null, asking)).toBe(true);
  expect(hereOf([rule("connection", "home")], network({ connections: [] }))).toBe(false);
});

it("is open where it is for this network, and where it was asked for if it needs that", () => {
  const ways = waysNow("pi", [way([rule("ssid", "x")]), way(null, true), way(null)], network());
  expect(openWays(ways, false)).toEqual({ ways: [2], settled: true });
  expect(openWays(ways, true)).toEqual({ ways: [1, 2], settled: true });
  const asking = waysNow("pi", [way(null), way([rule("ssid", "x")], true)], network({ connections: null }));
  expect(openWays(asking, false)).toEqual({ ways: [0], settled: true });
  expect(openWays(asking, true)).toEqual({ ways: [0], settled: false });
});

it("says which network this is and which it would have to be, or what opens the way", () => {
  const rules = [rule("connection", "cafe"), rule("ssid", "Library"), rule("gateway", "10.0.0.1")];
  expect(waysNow("pi", [way(rules)], network()).closed).toBe(
    "not tried on this network (home, ssid:Our Wi-Fi, gateway:192.168.1.1): only on cafe, ssid:Library, gateway:10.0.0.1",
  );
  const nowhere: Network = { state: { interfaces: [] }, connections: [] };
  expect(waysNow("pi", [way(rules), way(rules)], nowhere).closed).toBe(
    "not tried on this network (it has no name): only on cafe, ssid:Library, gateway:10.0.0.1",
  );
  expect(waysNow("pi", [way(rules), way(null, true)], network()).closed).toBe(
    "on this network it is used only when you ask for it: nix-tether connect pi",
  );
});

it("needs NetworkManager's names only for rules that are about them", () => {
  expect(needNames([way(null), way([rule("gateway", "10.0.0.1")])])).toBe(false);
  expect(needNames([way(null), way([rule("gateway", "10.0.0.1"), rule("ssid", "x")])])).toBe(true);
});
