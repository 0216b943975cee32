// Whether a file that root relies on can be changed by somebody else: it, or any folder on the way to it.

import { lstatSync, readlinkSync, type Stats } from "node:fs";
import path from "node:path";

/** More links than this lead in a circle. */
const mostLinks = 40;

/**
 * The first place on the way to `file` where another user than root could put something else, or null. A file that is
 * missing counts as its folder does: who can make it is who matters.
 */
export function whereOthersCouldChange(file: string): string | null {
  let links = 0;
  const walk = (base: string, rest: readonly string[]): string | null => {
    const [name, ...further] = rest;
    if (name === undefined) return null;
    const here = path.join(base, name);
    // The store is kept from changing by other means than its folder's mode.
    if (here === "/nix/store") return null;
    const info = look(here);
    if (info === "hidden") return null;
    if (info === "missing") return anybodyAdds(base) ? base : null;
    if (!info.isSymbolicLink()) return isOpen(info) ? here : walk(here, further);
    // A link's own mode says nothing; its owner could put another in its place in a sticky folder.
    if (info.uid !== 0) return here;
    links += 1;
    if (links > mostLinks) return here;
    const target = path.resolve(base, readlinkSync(here));
    return walk("/", [...parts(target), ...further]);
  };
  return walk("/", parts(path.resolve(file)));
}

function parts(absolute: string): string[] {
  return absolute.split("/").filter((part) => part !== "");
}

/** What we may not look at is not ours to change. */
function look(file: string): Stats | "missing" | "hidden" {
  try {
    return lstatSync(file, { throwIfNoEntry: false }) ?? "missing";
  } catch {
    return "hidden";
  }
}

function anybodyAdds(folder: string): boolean {
  const info = look(folder);
  return typeof info !== "string" && (info.mode & 0o002) !== 0;
}

/** In a sticky folder nobody can replace what is another's, but anybody can add. */
function isOpen(info: Stats): boolean {
  if (info.uid !== 0) return true;
  const groupWrites = (info.mode & 0o020) !== 0 && info.gid !== 0;
  const anybodyWrites = (info.mode & 0o002) !== 0;
  if (info.isDirectory() && (info.mode & 0o1000) !== 0) return false;
  return groupWrites || anybodyWrites;
}
