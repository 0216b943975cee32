// In which order the paths of a push go, and in which pieces they are staged: pure.

import type { LocalInfos } from "../nix/path-infos.js";

/** What is staged by one `nix copy`. */
export interface Batch {
  readonly paths: readonly string[];
  /** Whether they are derivations; Nix must be told, and takes no others beside them. */
  readonly derivations: boolean;
  /** Of their NARs, in bytes. */
  readonly size: number;
}

/**
 * Few enough for a command line, and not more bytes than are soon staged: what is ready is sent while the next is staged.
 */
const most = { paths: 1_000, bytes: 64 * 1024 * 1024 };

/** All of `infos`, each behind what it refers to. */
export function referencesFirst(infos: LocalInfos): string[] {
  const ordered = new Set<string>();
  const begun = new Set<string>();
  for (const root of infos.keys()) {
    const todo = [root];
    // A chain of references may be longer than a stack of calls.
    for (let path = todo.at(-1); path !== undefined; path = todo.at(-1)) {
      const open = begun.has(path) ? [] : references(path, infos).filter((one) => !ordered.has(one));
      begun.add(path);
      if (open.length > 0) todo.push(...open);
      else {
        ordered.add(path);
        todo.pop();
      }
    }
  }
  return [...ordered];
}

/** `ordered` in pieces, in the same order; a path that is larger than any piece has one of its own. */
export function inBatches(ordered: readonly string[], infos: LocalInfos): Batch[] {
  const batches: Batch[] = [];
  let paths: string[] = [];
  let size = 0;
  const end = (): void => {
    const [head] = paths;
    if (head === undefined) return;
    batches.push({ paths, derivations: isDerivation(head), size });
    paths = [];
    size = 0;
  };
  for (const path of ordered) {
    const own = infos.get(path)?.size ?? 0;
    const [head] = paths;
    const differs = head !== undefined && isDerivation(head) !== isDerivation(path);
    if (differs || paths.length >= most.paths || size + own > most.bytes) end();
    paths.push(path);
    size += own;
  }
  end();
  return batches;
}

/** Other paths of `infos` that it refers to. */
export function references(path: string, infos: LocalInfos): string[] {
  return (infos.get(path)?.references ?? []).filter((one) => one !== path && infos.has(one));
}

function isDerivation(path: string): boolean {
  return path.endsWith(".drv");
}
