// Which of this machine's network interfaces are asked by multicast, and which packets each of them may
// believe.

import { BlockList, isIPv4 } from "node:net";
import type { NetworkInterfaceInfo } from "node:os";

/** One multicast socket's place: an interface and an address family. */
export interface MulticastLink {
  /** Changes whenever a socket made for the old one would be deaf. */
  readonly key: string;
  /** The interface's name, which is also the scope of link-local addresses heard there. */
  readonly name: string;
  readonly family: 4 | 6;
  /** This machine's own address there: the first IPv4 one, or the link-local IPv6 one. */
  readonly address: string;
  /** Only programs of this machine are heard there. */
  readonly loopback: boolean;
  /** Whether a packet from this source was sent on this link. */
  hears(source: string): boolean;
}

/** A host full of containers has dozens of veth devices; beyond this many links none is opened. */
export const MAX_LINKS = 32;

/**
 * The links of a machine, those with IPv4 first. The scope id is the interface's number: a device that was
 * deleted and made anew under its old name and address has another one, and the kernel has dropped the old
 * one's multicast membership without a word.
 */
export function multicastLinks(
  interfaces: NodeJS.Dict<NetworkInterfaceInfo[]>,
  options: { readonly includeLoopback: boolean },
): MulticastLink[] {
  const four: MulticastLink[] = [];
  const six: MulticastLink[] = [];
  for (const [name, all] of Object.entries(interfaces)) {
    const infos = (all ?? []).filter((info) => options.includeLoopback || !info.internal);
    const ipv4 = infos.filter((info) => info.family === "IPv4");
    const linkLocal = infos.find((info) => info.family === "IPv6" && isLinkLocal(info.address));
    const scope = linkLocal?.family === "IPv6" ? linkLocal.scopeid : 0;
    const first = ipv4[0];
    if (first !== undefined) {
      const networks = ipv4.map((info) => info.cidr ?? info.address);
      const key = ["4", name, first.mac, scope, ...networks].join("|");
      const { address, internal: loopback } = first;
      four.push({ key, name, family: 4, address, loopback, hears: sameNetwork(ipv4) });
    }
    if (linkLocal !== undefined) {
      const key = ["6", name, linkLocal.mac, scope, linkLocal.address].join("|");
      const hears = (source: string): boolean => source.endsWith(`%${name}`) && isLinkLocal(source);
      const { address, internal: loopback } = linkLocal;
      six.push({ key, name, family: 6, address, loopback, hears });
    }
  }
  return [...four, ...six].slice(0, MAX_LINKS);
}

/** Whether an IPv6 address is link-local (fe80::/10) and so means nothing without a scope. */
export function isLinkLocal(address: string): boolean {
  return /^fe[89ab][0-9a-f]:/i.test(address);
}

const ownAddresses = new BlockList();
ownAddresses.addSubnet("127.0.0.0", 8, "ipv4");
ownAddresses.addAddress("::1", "ipv6");

/** Whether an address (without scope) means whichever machine reads it. */
export function isLoopback(address: string): boolean {
  return ownAddresses.check(address, isIPv4(address) ? "ipv4" : "ipv6");
}

/** RFC 6762 section 11: an answer whose source is not on the link's own networks did not come from it. */
function sameNetwork(infos: readonly NetworkInterfaceInfo[]): (source: string) => boolean {
  const networks = new BlockList();
  for (const info of infos) networks.addSubnet(info.address, sharedPrefix(info), "ipv4");
  return (source) => networks.check(source, "ipv4");
}

function sharedPrefix(info: NetworkInterfaceInfo): number {
  const prefix = Number(info.cidr?.split("/")[1] ?? 32);
  // Nobody shares loopback: an address there that others could have too stands for itself alone.
  if (info.internal) return isLoopback(info.address) ? prefix : 32;
  // A /32 (some VPNs and mobile links) says nothing about who shares the link.
  return prefix === 32 ? 0 : prefix;
}
