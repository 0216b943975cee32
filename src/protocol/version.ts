// Versions of the worker protocol: major in the high byte, minor in the low one.

import { ProtocolError } from "./errors.js";

/**
 * What the client says it speaks: 1.38, the newest layout that exists. Since then Nix adds features, not
 * versions; a daemon that counts on (1.39) falls back to the lower of both.
 */
export const ownProtocol = 0x126;

/** The oldest daemon that is spoken to (Nix 2.0); current Nix draws the same line. */
const oldestProtocol = 0x112;

/** `0x122` is "1.34". */
export function describeProtocol(version: number): string {
  return `${version >> 8}.${version & 0xff}`;
}

/** The version both sides speak; throws `unsupported-version` for a daemon below 1.18 or of another major. */
export function negotiate(own: number, theirs: number): number {
  if (theirs >> 8 !== own >> 8 || theirs < oldestProtocol) {
    const [spoken, oldest] = [describeProtocol(theirs), describeProtocol(oldestProtocol)];
    const message = `the nix-daemon speaks worker protocol ${spoken}; ${oldest} or a newer 1.x is needed`;
    throw new ProtocolError("unsupported-version", message, {
      remedy: "Install a newer Nix (2.0 or later) on that machine.",
    });
  }
  return Math.min(own, theirs);
}

/** Whether `version` has what came with 1.`minor`. */
export function atLeast(version: number, minor: number): boolean {
  return (version & 0xff) >= minor;
}
