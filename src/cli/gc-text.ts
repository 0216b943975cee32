// What a collection of a static cache has come to, for a person and for a program. Pure.

import type { Collected } from "../static/collect.js";
import { bytesOfPath, changedAt, type KeptBecause } from "../static/gc-plan.js";
import { nameOf } from "../static/inventory.js";
import { printable } from "../util/printable.js";
import { bytes, counted, duration } from "./words.js";

const keptWords: Record<KeptBecause, string> = {
  pinned: "pinned",
  young: "young",
  needed: "needed by these",
  damaged: "unusable",
};

export interface GcText {
  readonly label: string;
  /** Whether nothing was to be removed. */
  readonly dryRun: boolean;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

export function gcText(collected: Collected, { label, dryRun, now }: GcText): string[] {
  const { inventory, plan } = collected;
  const goes = [...plan.gone].flatMap(([hashPart, why]) => {
    const path = inventory.paths.get(hashPart);
    if (path === undefined) return [];
    const age = duration(now - changedAt(inventory, path));
    return [`would remove ${nameOf(path)} (${bytes(bytesOfPath(inventory, path))}, ${age}, ${why})`];
  });
  const unowned = plan.rubbish.map(
    ({ name, size }) => `would remove ${printable(name)} (${bytes(size)}, of no path)`,
  );
  const counts = countKept(plan.kept);
  const why = Object.entries(keptWords).flatMap(([reason, words]) => {
    const count = counts[reason as KeptBecause];
    return count === 0 ? [] : [`${count} ${words}`];
  });
  const kept = `${counted(plan.kept.size, "path")} kept (${bytes(plan.bytes.all - plan.bytes.removed)})`;
  return [
    ...(dryRun ? [...goes, ...unowned] : []),
    `${label}: ${counted(plan.gone.size, "path")} ${dryRun ? "would go" : "removed"} (${bytes(plan.bytes.removed)}), ` +
      `${kept}${why.length === 0 ? "" : `: ${why.join(", ")}`}`,
  ];
}

/** What the person should know besides, and what makes the command fail. */
export function gcWarnings({ plan, unusedPins }: Collected, maxBytes: number | null): GcWarnings {
  const left = plan.bytes.all - plan.bytes.removed;
  const damaged = [...plan.kept].filter(([, why]) => why === "damaged");
  return {
    notes: unusedPins.map((word) => `nothing in the cache fits what is to be kept: ${printable(word)}`),
    failures: [
      ...(damaged.length === 0
        ? []
        : [
            `${counted(damaged.length, "narinfo")} can not be used, and so neither they nor anything they mention may go: ` +
              "`nix-tether fsck --repair` removes them",
          ]),
      ...(maxBytes !== null && left > maxBytes
        ? [
            `${bytes(left)} are left, more than the ${bytes(maxBytes)} that there may be: the rest has to stay`,
          ]
        : []),
    ],
  };
}

interface GcWarnings {
  readonly notes: readonly string[];
  readonly failures: readonly string[];
}

/** Version 1: keys are added, never renamed. */
export function gcJson(collected: Collected, { dryRun, now }: GcText): object {
  const { inventory, plan, removed } = collected;
  const gone = [...plan.gone].flatMap(([hashPart, reason]) => {
    const path = inventory.paths.get(hashPart);
    if (path === undefined) return [];
    return [
      {
        path: nameOf(path),
        reason,
        bytes: bytesOfPath(inventory, path),
        ageSeconds: Math.floor((now - changedAt(inventory, path)) / 1000),
      },
    ];
  });
  return {
    version: 1,
    dryRun,
    removed: {
      paths: gone.length,
      files: removed?.files ?? 0,
      bytes: plan.bytes.removed,
      list: gone,
      others: plan.rubbish.map(({ name }) => name),
    },
    kept: {
      paths: plan.kept.size,
      bytes: plan.bytes.all - plan.bytes.removed,
      ...countKept(plan.kept),
    },
  };
}

function countKept(kept: ReadonlyMap<string, KeptBecause>): Record<KeptBecause, number> {
  const counts = { pinned: 0, young: 0, needed: 0, damaged: 0 };
  for (const why of kept.values()) counts[why] += 1;
  return counts;
}
