// What the machine's network looks like at this moment, read whole from the kernel.

import { readdirSync, readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { readDefaultRoutes } from "./default-routes.js";

/** One network interface other than loopback. */
export interface NetworkInterface {
  readonly name: string;
  /** Whether a cable, a radio association or a peer is there. False while the interface is switched off. */
  readonly carrier: boolean;
  /**
   * Sorted, without prefix length and without scope (`fe80::1`, not `fe80::1%eth0`). Empty without carrier:
   * the kernel still holds the addresses then, but nothing can be reached from them.
   */
  readonly addresses: readonly string[];
  /** The routers of its default routes, sorted and without scope. Empty without carrier. */
  readonly gateways: readonly string[];
}

/** Every interface other than loopback, sorted by name. */
export interface NetworkState {
  readonly interfaces: readonly NetworkInterface[];
}

/** Where the kernel shows its interfaces, one folder each. */
const defaultSysClassNet = "/sys/class/net";

/**
 * The state as it is now. Never throws: what this process may not see (Android, a unit that lacks AF_NETLINK)
 * is left out.
 */
export function readNetworkState(sysClassNet: string = defaultSysClassNet): NetworkState {
  const addresses = readAddresses();
  const gateways = readDefaultRoutes();
  // Node lists only interfaces that run (IFF_RUNNING), so one without carrier is known from /sys alone.
  const names = new Set([...readNames(sysClassNet), ...addresses.keys()]);
  names.delete("lo");
  const interfaces = [...names].toSorted().map((name) => {
    const carrier = readCarrier(join(sysClassNet, name), addresses.has(name));
    const held = (what: ReadonlyMap<string, string[]>): string[] => (carrier ? (what.get(name) ?? []) : []);
    return { name, carrier, addresses: held(addresses), gateways: held(gateways) };
  });
  return { interfaces };
}

/** Whether two states hold the same interfaces with the same carriers, addresses and routers. */
export function sameNetwork(one: NetworkState, other: NetworkState): boolean {
  return (
    one.interfaces.length === other.interfaces.length &&
    one.interfaces.every((left, index) => sameInterface(left, other.interfaces[index]))
  );
}

/**
 * Whether two states hold the same addresses beyond link-local ones, and so are the same place as far as anybody can
 * tell. A container that starts or ends makes a difference between states, but none here.
 */
export function samePlace(one: NetworkState, other: NetworkState): boolean {
  return sameList(placeOf(one), placeOf(other));
}

function placeOf({ interfaces }: NetworkState): string[] {
  return interfaces.flatMap(({ name, addresses }) =>
    addresses.filter((address) => !/^fe[89ab]/i.test(address)).map((address) => `${name} ${address}`),
  );
}

function sameInterface(one: NetworkInterface, other: NetworkInterface | undefined): boolean {
  return (
    other !== undefined &&
    one.name === other.name &&
    one.carrier === other.carrier &&
    sameList(one.addresses, other.addresses) &&
    sameList(one.gateways, other.gateways)
  );
}

function sameList(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((entry, index) => entry === other[index]);
}

function readAddresses(): Map<string, string[]> {
  const found = new Map<string, string[]>();
  try {
    for (const [name, entries] of Object.entries(networkInterfaces())) {
      const own = (entries ?? []).filter((entry) => !entry.internal).map((entry) => entry.address);
      if (own.length > 0) found.set(name, own.toSorted());
    }
  } catch {
    // Not allowed to ask: the interfaces that /sys shows are still worth having.
  }
  return found;
}

function readNames(sysClassNet: string): string[] {
  try {
    return readdirSync(sysClassNet, { withFileTypes: true })
      .filter((entry) => !entry.isFile()) // `bonding_masters` is a file among the interfaces
      .map((entry) => entry.name);
  } catch {
    return [];
  }
}

/** `running` stands in where /sys does not tell. Reading `carrier` of a switched-off interface gives EINVAL. */
function readCarrier(folder: string, running: boolean): boolean {
  const carrier = readWord(join(folder, "carrier"));
  if (carrier !== null) return carrier === "1";
  const operstate = readWord(join(folder, "operstate"));
  return operstate === null ? running : operstate === "up";
}

function readWord(file: string): string | null {
  try {
    return readFileSync(file, "latin1").trim();
  } catch {
    return null;
  }
}
