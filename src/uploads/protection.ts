// Sees to it that what waits for its upload has a root, and that what has left the store all the same is set aside.

import { createSerial } from "../util/serial.js";
import { asBack, asGone, isGone, type Entry } from "./entry.js";
import type { GcRoots } from "./gc-roots.js";

export interface Protection {
  /** Makes sure that what waits has a root. Never rejects, for what is queued is queued. */
  protect(): Promise<void>;
  /**
   * These have left the store: sets them aside, but for what is back by now; resolves to the others.
   * @throws TetherError as `GcRoots.missing`, and what `update` throws
   */
  gone(paths: readonly string[]): Promise<string[]>;
  /** Whether these have a root is to be looked at by the next `protect`. */
  forget(paths: readonly string[]): void;
}

export interface ProtectionDeps {
  readonly roots: GcRoots;
  readonly entries: ReadonlyMap<string, Entry>;
  /** Changes the entries of these paths, on disk as well. */
  readonly update: (paths: readonly string[], change: (entry: Entry) => Entry) => Promise<void>;
  /** Told why something has no root, and by null that all have one. */
  readonly onTrouble: (error: unknown) => void;
}

export function createProtection({ roots, entries, update, onTrouble }: ProtectionDeps): Protection {
  /** Those that were found to have a root. */
  const held = new Set<string>();
  const inTurn = createSerial();
  const forget = (paths: readonly string[]): void => paths.forEach((path) => held.delete(path));

  const gone = async (paths: readonly string[]): Promise<string[]> => {
    await update(paths, asGone);
    // What is built from now on is noticed as it comes in. What was built just before that is noticed here.
    const missing = new Set(await roots.missing(paths));
    forget([...missing]);
    const back = paths.filter((path) => !missing.has(path));
    if (back.length > 0) {
      await update(back, asBack);
      await roots.hold(back);
    }
    return [...missing];
  };

  return {
    protect: () =>
      inTurn(async () => {
        const wanted = [...entries.values()].filter((entry) => !held.has(entry.path) && !isGone(entry));
        if (wanted.length === 0) return;
        try {
          const missing = new Set(await roots.hold(wanted.map(({ path }) => path)));
          for (const { path } of wanted) if (!missing.has(path)) held.add(path);
          if (missing.size > 0) await gone([...missing]);
          onTrouble(null);
        } catch (error) {
          onTrouble(error);
        }
      }),
    gone,
    forget,
  };
}
