// Brings the world in line with the states, in the order that is promised to Nix: a cache is unlisted before
// anything it needs is torn down, and listed only when all of it stands.

import { desired, type Desired } from "../decision/desired.js";
import type { Conditions } from "../sources/conditions.js";
import type { States } from "./controller.js";
import type { OverrideEntry } from "./override-file.js";
import type { Tether } from "./tether.js";

/** What the effects act on. */
export interface EffectsDeps {
  readonly tethers: ReadonlyMap<string, Tether>;
  /** What the override holds for a cache that is in use; null where Nix would not take it. */
  readonly entryOf: (cache: string) => OverrideEntry | null;
  /** Replaces the override's content; does nothing when it is the same. Never rejects. */
  readonly writeOverride: (entries: readonly OverrideEntry[]) => Promise<void>;
  /** Holds uploads back, or lets them go on; null: the conditions are not known yet. */
  readonly followConditions: (conditions: Conditions | null) => void;
  /** After every change; for the status line and the like. */
  readonly onApplied: (states: States) => void;
}

/** What must go for these wishes, and before each what stands on its link. */
function leavingOf(wishes: readonly { readonly tether: Tether; readonly wish: Desired }[]): Tether[] {
  const going = wishes.filter(({ tether, wish }) => tether.leaves(wish)).map(({ tether }) => tether);
  const links = going.flatMap((tether) => tether.ssh() ?? []);
  const standing = wishes.filter(({ tether }) => {
    const through = tether.through();
    return through !== null && links.includes(through) && !going.includes(tether);
  });
  const own = going.toSorted((a, b) => Number(b.through() !== null) - Number(a.through() !== null));
  return [...standing.map(({ tether }) => tether), ...own];
}

/** The `apply` of the controller. */
export function createEffects(
  deps: EffectsDeps,
): (states: States, conditions: Conditions | null) => Promise<void> {
  return async (states, conditions) => {
    const wishes = [...deps.tethers].flatMap(([name, tether]) => {
      const state = states.get(name);
      return state === undefined ? [] : [{ name, tether, wish: desired(state) }];
    });
    const leaving = leavingOf(wishes);
    const inPlace = (): typeof wishes =>
      wishes.filter(({ tether, wish }) => wish.listed && tether.link() !== null && !leaving.includes(tether));
    const listed = (): OverrideEntry[] => inPlace().flatMap(({ name }) => deps.entryOf(name) ?? []);

    await deps.writeOverride(listed());
    for (const tether of leaving) await tether.takeDown();
    leaving.length = 0;
    for (const { tether, wish } of wishes) await tether.follow(wish);
    await deps.writeOverride(listed());
    deps.followConditions(conditions);
    for (const { tether } of inPlace()) tether.startUploads();
    deps.onApplied(states);
  };
}
