// The border to what anybody on the network may send: mDNS packets become a few narrow records or nothing.

import { isIP } from "node:net";

import { canonical } from "./target.js";

/** A record that was heard. Names are canonical; `ttl` in seconds, 0 is a goodbye (RFC 6762 section 10.1). */
export type HeardRecord = AddressRecord | ServiceRecord | PointerRecord;

interface CommonFields {
  readonly name: string;
  readonly ttl: number;
  /** The cache-flush bit: this and the records with it replace older ones of the same name and type. */
  readonly flush: boolean;
}

/** An address of the host `name`, as sent: an IPv6 link-local one has no scope yet. */
export interface AddressRecord extends CommonFields {
  readonly type: "A" | "AAAA";
  readonly address: string;
}

/** The host and port of the service instance `name`. */
export interface ServiceRecord extends CommonFields {
  readonly type: "SRV";
  readonly target: string;
  readonly port: number;
}

/** One instance of the service `name`. */
export interface PointerRecord extends CommonFields {
  readonly type: "PTR";
  readonly target: string;
}

/** More records than this in one packet are not looked at; avahi's own packets stay below 50. */
const MAX_RECORDS = 256;

/** The records of a decoded packet that discovery can use; whatever else it holds is passed over. */
export function recordsOf(packet: {
  readonly answers?: unknown;
  readonly additionals?: unknown;
}): HeardRecord[] {
  const heard: HeardRecord[] = [];
  for (const section of [packet.answers, packet.additionals]) {
    if (!Array.isArray(section)) continue;
    for (const raw of section.slice(0, MAX_RECORDS) as unknown[]) {
      const record = recordOf(raw);
      if (record !== undefined) heard.push(record);
    }
  }
  return heard;
}

function recordOf(raw: unknown): HeardRecord | undefined {
  if (typeof raw !== "object" || raw === null) return undefined;
  const { type, name, ttl, flush, data, ...rest } = raw as Record<string, unknown>;
  if (typeof name !== "string" || typeof ttl !== "number" || rest["class"] !== "IN") return undefined;
  const common = { name: canonical(name), ttl, flush: flush === true };
  if (type === "A" || type === "AAAA") {
    const family = type === "A" ? 4 : 6;
    return typeof data === "string" && isIP(data) === family ? { ...common, type, address: data } : undefined;
  }
  if (type === "PTR") {
    return typeof data === "string" ? { ...common, type, target: canonical(data) } : undefined;
  }
  if (type === "SRV" && typeof data === "object" && data !== null) {
    const { target, port } = data as Record<string, unknown>;
    if (typeof target !== "string" || typeof port !== "number" || port < 1 || port > 65535) return undefined;
    return { ...common, type, target: canonical(target), port };
  }
  return undefined;
}
