// Builds and fetches in the machines' stores, and reads from Nix's own words where a path came from.

import { expect } from "vitest";
import type { Host, Lab } from "./lab.js";
import type { Tether } from "./tether.js";

const users = { laptop: "dev", pi: "pi" } as const;

/** A derivation of closure.nix: 300 small paths, one path of 300 MB, ten of 8 MB, one small path. */
export type Sample = "many" | "big" | "parts" | "one";

export interface Built {
  readonly path: string;
  /** What Nix said meanwhile. */
  readonly log: string;
}

/** `nix-build` of a sample as the machine's user; fetched or built, as that machine's Nix decides. */
export async function build(lab: Lab, host: Host, what: Sample, salt: string): Promise<Built> {
  const command = `nix-build --no-out-link /opt/nix-tether/test/lab/closure.nix -A ${what} --argstr salt ${salt}`;
  const { stdout, stderr } = await lab.user(host, users[host], command);
  return { path: stdout.trim(), log: stderr };
}

/** `nix-store -r` on the laptop: fetches, for there is nothing to build. */
export async function realise(lab: Lab, path: string): Promise<Built> {
  const { stderr } = await lab.user("laptop", "dev", `nix-store -r ${path}`);
  return { path, log: stderr };
}

/** The paths that Nix said it copied from this cache of the gateway. */
export function copiedFrom(log: string, cache: string): Set<string> {
  const lines = log.matchAll(/copying path '([^']+)' from 'http:\/\/127\.0\.0\.1:37515\/([^/?']+)/g);
  return new Set([...lines].filter((line) => line[2] === cache).map((line) => line[1] ?? ""));
}

/** Builds one small path on the Pi and expects the laptop to fetch it from there. `salt` is not to be used twice. */
export async function expectFetched(lab: Lab, tether: Tether, salt: string): Promise<void> {
  await tether.waitListed(["pi"]);
  const { path } = await build(lab, "pi", "one", salt);
  const { log } = await build(lab, "laptop", "one", salt);
  expect([...copiedFrom(log, "pi")]).toEqual([path]);
}

/** Every path of the closure with its hash, as that machine's database has it. */
export async function closureHashes(lab: Lab, host: Host, path: string): Promise<string> {
  const query = `paths=$(nix-store -qR ${path} | sort); echo "$paths"; nix-store -q --hash $paths`;
  return (await lab.user(host, users[host], query)).stdout;
}

/** Reads every path of the closure again and compares it with its hash; throws when one differs. */
export async function verify(lab: Lab, path: string): Promise<void> {
  await lab.user("laptop", "dev", `nix-store --verify-path $(nix-store -qR ${path})`);
}
