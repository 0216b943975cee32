// The out-links of good builds: Nix's garbage collector keeps what they lead to. Each build has a folder of its own, so
// that one that fails or is killed takes nothing away from the last good one.

import { mkdir, readdir, readlink, rename, rm, rmdir, symlink } from "node:fs/promises";
import path from "node:path";
import type { FarmPlaces } from "./places.js";

export interface Roots {
  /** Where Nix is to put the out-link of a build that begins. */
  begin(attribute: string): Promise<string>;
  /** The build is good: it is the last good one now, and of those before it `keep - 1` stay. */
  good(attribute: string): Promise<void>;
  /** What the last good build came to; null where there was none. */
  lastGood(attribute: string): Promise<string | null>;
  /** Removes what builds that did not succeed have left, and the roots of attributes that are not built any more. */
  sweep(attributes: readonly string[]): Promise<void>;
}

/** Nix appends the output's name to it, unless that is `out`. */
const linkName = "result";

/** `run` names this run's builds: later ones sort after earlier ones. */
export function createRoots(places: Pick<FarmPlaces, "roots" | "good">, run: string, keep: number): Roots {
  const folderOf = (attribute: string): string => path.join(places.roots, encodeURIComponent(attribute));
  const buildOf = (attribute: string, build: string): string => path.join(folderOf(attribute), build);

  /** Builds with an out-link, the newest first. */
  const buildsOf = async (attribute: string): Promise<string[]> => {
    const found: string[] = [];
    for (const name of await list(folderOf(attribute)))
      if ((await linksIn(buildOf(attribute, name))).length > 0) found.push(name);
    return found.toSorted().toReversed();
  };
  const pointTo = async (link: string, attribute: string): Promise<void> => {
    await mkdir(places.good, { recursive: true, mode: 0o700 });
    const temporary = path.join(places.good, `.tmp-${encodeURIComponent(attribute)}`);
    await rm(temporary, { force: true });
    await symlink(path.relative(places.good, link), temporary);
    await rename(temporary, path.join(places.good, encodeURIComponent(attribute)));
  };

  return {
    begin: async (attribute) => {
      await mkdir(buildOf(attribute, run), { recursive: true, mode: 0o700 });
      return path.join(buildOf(attribute, run), linkName);
    },
    good: async (attribute) => {
      const folder = buildOf(attribute, run);
      const [first] = await linksIn(folder);
      if (first === undefined) return;
      await pointTo(path.join(folder, first), attribute);
      const newest = await targetsIn(folder);
      let left = keep - 1;
      for (const build of await buildsOf(attribute)) {
        if (build === run) continue;
        const old = buildOf(attribute, build);
        // The same once more is no other build to go back to.
        if ((await targetsIn(old)) !== newest && left-- > 0) continue;
        await rm(old, { recursive: true, force: true });
      }
    },
    lastGood: async (attribute) => {
      const [newest] = await buildsOf(attribute);
      if (newest === undefined) return null;
      const [first = null] = (await targetsIn(buildOf(attribute, newest))).split("\n");
      return first;
    },
    sweep: async (attributes) => {
      const wanted = new Set(attributes.map(encodeURIComponent));
      for (const folder of [places.roots, places.good])
        for (const name of await list(folder))
          if (!wanted.has(name)) await rm(path.join(folder, name), { recursive: true, force: true });
      for (const attribute of attributes)
        for (const name of await list(folderOf(attribute)))
          // Fails, as it should, where there is something in it.
          await rmdir(path.join(folderOf(attribute), name)).catch(() => undefined);
    },
  };
}

async function list(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}

async function linksIn(folder: string): Promise<string[]> {
  return (await list(folder)).filter((name) => name.startsWith(linkName)).toSorted();
}

/** Where all of its links lead, to be compared. */
async function targetsIn(folder: string): Promise<string> {
  const names = await linksIn(folder);
  const targets = await Promise.all(names.map((name) => readlink(path.join(folder, name)).catch(() => "")));
  return targets.join("\n");
}
