// The opening of the worker protocol: both sides name a version, then what goes with it.
// Order and conditions follow Nix's worker-protocol-connection.cc and were seen with Nix 2.8, 2.26 and 2.34.

import { ProtocolError } from "./errors.js";
import type { WireReader } from "./reader.js";
import { readUntilLast, stderrFrame } from "./stderr.js";
import { atLeast, negotiate, ownProtocol } from "./version.js";
import { encodeString, encodeStringList, encodeU64 } from "./writer.js";

const clientMagic = 0x6e697863;
const serverMagic = 0x6478696f;
const featureBounds = { count: 64, length: 256 };

/** What both sides agreed on. */
export interface Handshake {
  /** The lower of both sides' versions, e.g. 0x122 for 1.34. */
  readonly protocol: number;
  /** The daemon's Nix version; null below 1.33. */
  readonly nixVersion: string | null;
  /** Whether the daemon trusts this client; null below 1.35 or where it does not say. */
  readonly trusted: boolean | null;
}

/** The client's side. Throws ProtocolError, or DaemonError when the daemon refuses the client. */
export async function clientHandshake(
  reader: WireReader,
  write: (bytes: Buffer) => void,
  own: number = ownProtocol,
): Promise<Handshake> {
  write(Buffer.concat([encodeU64(clientMagic), encodeU64(own)]));
  const magic = await reader.bytes(8);
  if (!magic.equals(encodeU64(serverMagic))) {
    throw new ProtocolError("bad-magic", "what answers is not a nix-daemon");
  }
  const protocol = negotiate(own, await reader.u64());
  // This client asks for no feature: what it reads has the same layout with and without all that exist.
  if (atLeast(protocol, 38)) {
    write(encodeStringList([]));
    await reader.stringList(featureBounds);
  }
  // CPU affinity and reserved space: obsolete, but still read by every daemon.
  write(Buffer.concat([encodeU64(0), encodeU64(0)]));
  const nixVersion = atLeast(protocol, 33) ? await reader.string(256) : null;
  const trust = atLeast(protocol, 35) ? await reader.u64() : 0;
  await readUntilLast(reader, protocol);
  return { protocol, nixVersion, trusted: trust === 1 ? true : trust === 2 ? false : null };
}

/** The daemon's side, which trusts the client. Throws ProtocolError for what is no Nix client. */
export async function serverHandshake(
  reader: WireReader,
  write: (bytes: Buffer) => void,
  daemon: { readonly nixVersion: string; readonly protocol?: number },
): Promise<Handshake> {
  const own = daemon.protocol ?? ownProtocol;
  const magic = await reader.bytes(8);
  if (!magic.equals(encodeU64(clientMagic))) {
    throw new ProtocolError("bad-magic", "what connects is not a Nix client");
  }
  write(Buffer.concat([encodeU64(serverMagic), encodeU64(own)]));
  const protocol = negotiate(own, await reader.u64());
  if (atLeast(protocol, 38)) {
    write(encodeStringList([]));
    await reader.stringList(featureBounds);
  }
  await reader.bytes(2 * 8);
  if (atLeast(protocol, 33)) write(encodeString(daemon.nixVersion));
  if (atLeast(protocol, 35)) write(encodeU64(1));
  write(encodeU64(stderrFrame.last));
  return { protocol, nixVersion: daemon.nixVersion, trusted: true };
}
