// mDNS records as discovery hears them, with the usual values for what a test does not care about.

import type { AddressRecord, PointerRecord, ServiceRecord } from "../../src/sources/discovery/records.js";

interface Options {
  readonly ttl?: number;
  readonly flush?: boolean;
}

/** An A or AAAA record. */
export function addressRecord(
  name: string,
  address: string,
  { ttl = 120, flush = true }: Options = {},
): AddressRecord {
  return { type: address.includes(":") ? "AAAA" : "A", name, address, ttl, flush };
}

/** A SRV record. */
export function serviceRecord(
  name: string,
  target: string,
  port: number,
  { ttl = 120, flush = true }: Options = {},
): ServiceRecord {
  return { type: "SRV", name, target, port, ttl, flush };
}

/** A PTR record. */
export function pointerRecord(name: string, target: string, { ttl = 4500 }: Options = {}): PointerRecord {
  return { type: "PTR", name, target, ttl, flush: false };
}
