// The one way to write an address, so that two can be compared.

import { SocketAddress, isIP } from "node:net";

/** `address` in its canonical form (RFC 5952 for IPv6), or null where it is none. A scope is left out. */
export function canonicalAddress(address: string): string | null {
  const [plain = ""] = address.split("%");
  const family = isIP(plain);
  if (family === 0) return null;
  return new SocketAddress({ address: plain, family: family === 4 ? "ipv4" : "ipv6" }).address;
}
