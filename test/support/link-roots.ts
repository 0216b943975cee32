// Roots for a spool under test, without Nix: links in the spool's folder, for a store in which everything is valid but
// what the test has taken out of it.

import { mkdir, readdir, readlink, rm, symlink } from "node:fs/promises";
import path from "node:path";
import { baseNameOf } from "../../src/protocol/store-path.js";
import type { GcRoots } from "../../src/uploads/gc-roots.js";

export interface LinkRoots extends GcRoots {
  /** Paths that are not in the store. */
  readonly invalid: Set<string>;
  /** What `hold` was asked for, call by call. */
  readonly asked: string[][];
  /** Makes `hold` fail with this. */
  failure: Error | null;
  /** The paths that have a root, sorted. */
  held(): Promise<string[]>;
}

export function createLinkRoots(folder: string): LinkRoots {
  const linkOf = (storePath: string): string => path.join(folder, baseNameOf(storePath));
  const roots: LinkRoots = {
    invalid: new Set(),
    asked: [],
    failure: null,
    held: async () => {
      const names = await readdir(folder);
      return (await Promise.all(names.map((name) => readlink(path.join(folder, name))))).toSorted();
    },
    hold: async (paths) => {
      roots.asked.push([...paths]);
      if (roots.failure !== null) throw roots.failure;
      await mkdir(folder, { recursive: true });
      const valid = paths.filter((one) => !roots.invalid.has(one));
      await Promise.all(valid.map((one) => symlink(one, linkOf(one)).catch(ignoreExisting)));
      return paths.filter((one) => roots.invalid.has(one));
    },
    missing: (paths) => Promise.resolve(paths.filter((one) => roots.invalid.has(one))),
    release: async (paths) => {
      await Promise.all(paths.map((one) => rm(linkOf(one), { force: true })));
    },
    sweep: async (keep) => {
      const left = (await roots.held()).filter((one) => !keep.has(one));
      await roots.release(left);
    },
  };
  return roots;
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== "EEXIST") throw error;
}
