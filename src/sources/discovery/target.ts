// What is to be found, worked out from the configuration's words: an address, an mDNS name, a service, or a
// name for the system's resolver.

import { isIP } from "node:net";

import type { Endpoint } from "../../link/link.js";

/** A machine to look for, in the words of the configuration. */
export interface LookupTarget {
  /** An address (IPv6 may carry a `%scope`), a `.local` name, or any other name. */
  readonly host: string;
  /** A DNS-SD service type such as `_ssh._tcp`; the machine is then found by browsing it. */
  readonly service?: string;
  /**
   * The service's instance name; by default `host` without its `.local`. DNS escapes (`\032`, `\.`) are
   * understood.
   */
  readonly instance?: string;
}

/** A `.local` name to ask A and AAAA for; lower case, without a trailing dot. */
export interface HostTarget {
  readonly kind: "mdns";
  readonly name: string;
}

/** A service instance to browse for. Names are lower case and unescaped. */
export interface ServiceTarget {
  readonly kind: "service";
  /** The service's name, e.g. `_ssh._tcp.local`. */
  readonly service: string;
  /** The instance's full name, e.g. `pi._ssh._tcp.local`. */
  readonly instance: string;
  /**
   * An instance under another name counts too if it runs on this `.local` host; unset where the instance was
   * named.
   */
  readonly host?: string;
}

/** What multicast can find. */
export type MulticastTarget = HostTarget | ServiceTarget;

/** How a target is found. */
export type Target =
  | MulticastTarget
  | { readonly kind: "address"; readonly endpoint: Endpoint }
  | { readonly kind: "resolver"; readonly name: string };

/** Works out how a machine is found. Never throws: a name that DNS cannot carry is simply never answered. */
export function parseTarget(target: LookupTarget): Target {
  const host = target.host.trim();
  if (target.service !== undefined) return serviceTarget(target.service, host, target.instance);

  const address = host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host;
  const family = isIP(address);
  if (family === 4 || family === 6) return { kind: "address", endpoint: { address, family } };

  const name = canonical(host);
  if (isLocal(name)) return { kind: "mdns", name };
  return { kind: "resolver", name: host };
}

function serviceTarget(type: string, host: string, instance: string | undefined): ServiceTarget {
  const service = `${canonical(type).replace(/\.local$/, "")}.local`;
  const name = canonical(host);
  const label = instance === undefined ? name.replace(/\.local$/, "") : unescapeLabel(instance).toLowerCase();
  return {
    kind: "service",
    service,
    instance: `${label}.${service}`,
    ...(instance === undefined && isLocal(name) ? { host: name } : {}),
  };
}

/** The form in which DNS names are compared: lower case, without the root's dot. */
export function canonical(name: string): string {
  return (name.endsWith(".") ? name.slice(0, -1) : name).toLowerCase();
}

/** Whether a canonical name belongs to multicast DNS (RFC 6762 section 3). */
export function isLocal(name: string): boolean {
  return name.endsWith(".local");
}

/**
 * Whether a name can be written into a question: labels of 1 to 63 bytes, at most 253 in all. The packet
 * encoder writes garbage for others, and takes every dot for a separator: an instance name with a dot is only
 * found by browsing.
 */
export function isAskable(name: string): boolean {
  if (Buffer.byteLength(name) > 253) return false;
  return name.split(".").every((label) => label !== "" && Buffer.byteLength(label) <= 63);
}

/**
 * Undoes the escapes of presentation format (RFC 1035 section 5.1): `\DDD` is a byte, `\x` the character x.
 */
export function unescapeLabel(text: string): string {
  const bytes: number[] = [];
  for (const [, byte, character] of text.matchAll(/\\([01]\d\d|2[0-4]\d|25[0-5])|\\?(.)/gsu)) {
    if (byte === undefined) bytes.push(...Buffer.from(character ?? ""));
    else bytes.push(Number(byte));
  }
  return Buffer.from(bytes).toString();
}

/** One string for each thing multicast can find, to tell whether two lookups mean the same. */
export function targetKey(target: MulticastTarget): string {
  return target.kind === "mdns" ? target.name : `${target.instance}|${target.host ?? ""}`;
}
