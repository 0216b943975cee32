// The routers of the default routes, from the kernel's tables (proc(5); ipv6_route as fs/proc writes it). Other routes,
// such as those of a VPN that takes only some addresses, do not count.

import { closeSync, openSync, readSync } from "node:fs";
import { endianness } from "node:os";
import { canonicalAddress } from "../../util/ip-address.js";

/** RTF_GATEWAY of <linux/route.h>: the route goes by a router. */
const byRouter = 0x2;

/** Some five hundred routes, far more than a laptop has; the whole table of a router is megabytes long. */
const mostBytes = 64 * 1024;

/** Where the kernel shows its routes to this process. */
const files = { v4: "/proc/net/route", v6: "/proc/net/ipv6_route" };

/** By the interface's name: its routers, sorted. Never throws: what this process may not see is left out. */
export function readDefaultRoutes(from: typeof files = files): ReadonlyMap<string, string[]> {
  const found = new Map<string, Set<string>>();
  for (const [name, router] of [...routersIn4(read(from.v4)), ...routersIn6(read(from.v6))]) {
    found.set(name, (found.get(name) ?? new Set()).add(router));
  }
  return new Map([...found].map(([name, routers]) => [name, [...routers].toSorted()]));
}

/** Pure: interface and router of each default route. Columns: Iface Destination Gateway Flags … Mask. */
export function routersIn4(text: string): [name: string, router: string][] {
  return text.split("\n").flatMap((line): [string, string][] => {
    const [name = "", destination, gateway = "", flags = "", , , , mask] = line.trim().split(/\s+/);
    if (destination !== "00000000" || mask !== "00000000" || !hasRouter(flags)) return [];
    // A number as the machine writes it.
    const bytes = Buffer.from(gateway, "hex");
    if (endianness() === "LE") bytes.reverse();
    return bytes.length === 4 ? [[name, bytes.join(".")]] : [];
  });
}

/** Pure. Columns: destination, its prefix length, source, its prefix length, router, metric, 2 counters, flags, name. */
export function routersIn6(text: string): [name: string, router: string][] {
  return text.split("\n").flatMap((line): [string, string][] => {
    const [destination, length, , , router = "", , , , flags = "", name = ""] = line.trim().split(/\s+/);
    if (destination !== "0".repeat(32) || length !== "00" || !hasRouter(flags)) return [];
    const address = canonicalAddress(router.replace(/(.{4})(?=.)/g, "$1:"));
    return address === null ? [] : [[name, address]];
  });
}

function hasRouter(flags: string): boolean {
  return (Number.parseInt(flags, 16) & byRouter) !== 0;
}

/** The beginning of the file: as much as any table of a laptop's, and the IPv4 table begins with the default routes. */
function read(file: string): string {
  const buffer = Buffer.allocUnsafe(mostBytes);
  let length = 0;
  try {
    const fd = openSync(file, "r");
    try {
      // The kernel gives such a file in pieces.
      for (let count = -1; count !== 0 && length < mostBytes; length += count) {
        count = readSync(fd, buffer, length, mostBytes - length, null);
      }
    } finally {
      closeSync(fd);
    }
  } catch {
    // Not to be seen by this process: no routes are better than no network state.
  }
  return buffer.toString("latin1", 0, length);
}
