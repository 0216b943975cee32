// The addresses heard for host names, interface by interface, under mDNS's rules for replacing and
// withdrawing them.

import { BlockList, isIPv4 } from "node:net";

import { isLinkLocal } from "./links.js";
import type { AddressRecord } from "./records.js";

/** One address of a host, as it must be dialled. */
export interface KnownAddress {
  readonly host: string;
  /** The interface on which it was heard. */
  readonly link: string;
  readonly type: "A" | "AAAA";
  /** With a scope where it needs one. */
  readonly address: string;
  readonly heardAt: number;
}

/** See `createAddressBook`. */
export interface AddressBook {
  /**
   * Takes in one record heard at `now` (milliseconds): adds, renews, replaces its older siblings, or
   * withdraws.
   */
  apply(link: string, record: AddressRecord, now: number): void;
  /** What is known of a host, in the order heard. */
  of(host: string): KnownAddress[];
  /** Forgets what was heard on an interface. */
  forget(link: string): void;
}

/**
 * RFC 6762 section 10.2: records younger than this survive a cache flush, for one set may come in several
 * packets.
 */
const FLUSH_GRACE_MS = 1000;

/** A machine has a handful of addresses; more is somebody's mischief, and then the oldest go. */
const MAX_ADDRESSES = 64;

/** An empty book. */
export function createAddressBook(): AddressBook {
  const known = new Map<string, KnownAddress>();
  return {
    apply: (link, record, now) => {
      const { type, name: host } = record;
      if (record.flush) {
        for (const [key, old] of known) {
          const sibling = old.link === link && old.host === host && old.type === type;
          if (sibling && now - old.heardAt > FLUSH_GRACE_MS) known.delete(key);
        }
      }
      const address = withScope(record.address, link);
      const key = `${link}|${host}|${address}`;
      if (record.ttl === 0) {
        known.delete(key);
        return;
      }
      known.set(key, { host, link, type, address, heardAt: now });
      for (const oldest of known.keys()) {
        if (known.size <= MAX_ADDRESSES) break;
        known.delete(oldest);
      }
    },
    of: (host) => [...known.values()].filter((entry) => entry.host === host),
    forget: (link) => {
      for (const [key, entry] of known) if (entry.link === link) known.delete(key);
    },
  };
}

/**
 * An address as it must be dialled when it was heard on an interface: mDNS carries link-local ones without
 * their scope.
 */
export function withScope(address: string, link: string): string {
  return isLinkLocal(address) && !address.includes("%") ? `${address}%${link}` : address;
}

const unusable = new BlockList();
unusable.addSubnet("0.0.0.0", 8, "ipv4");
unusable.addSubnet("224.0.0.0", 3, "ipv4");
unusable.addAddress("::", "ipv6");
unusable.addSubnet("ff00::", 8, "ipv6");

/**
 * Whether an announced address (without scope) can be a machine's: not multicast, not unspecified, not IPv4 in
 * IPv6's clothes (a BlockList would match such a range with every IPv4 address).
 */
export function isDialable(address: string): boolean {
  return !unusable.check(address, isIPv4(address) ? "ipv4" : "ipv6") && !/^::ffff:/i.test(address);
}
