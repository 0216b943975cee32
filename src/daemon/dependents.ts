// Caches that are reached through the link of another one: they are looked for as soon as that is in use.

import type { SshLink } from "../link/link.js";
import type { Ways } from "./cache-ways.js";
import type { Posted } from "./controller.js";
import type { Tether } from "./tether.js";

/** The result is to be called after every change. */
export function createDependents(deps: {
  readonly ways: Ways;
  readonly tethers: ReadonlyMap<string, Pick<Tether, "link">>;
  readonly post: (posted: Posted) => void;
}): () => void {
  const pairs = [...deps.ways].flatMap(([cache, ways]) =>
    ways.flatMap(({ config }) =>
      config.type === "http" && config.via !== undefined ? [{ cache, via: config.via }] : [],
    ),
  );
  const known = new Map<string, SshLink | null>();
  return () => {
    const arrived = new Set<string>();
    for (const { via } of pairs) {
      const link = deps.tethers.get(via)?.link()?.ssh ?? null;
      if (link !== null && known.get(via) !== link) arrived.add(via);
      known.set(via, link);
    }
    for (const { cache, via } of pairs) {
      if (arrived.has(via)) deps.post({ cache, fact: { type: "due" } });
    }
  };
}
