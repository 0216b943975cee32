import { expect, test } from "vitest";
import { gcJson, gcText, gcWarnings } from "../../src/cli/gc-text.js";
import { planGc } from "../../src/static/gc-plan.js";
import type { Collected } from "../../src/static/collect.js";
import { cacheTime, hashPartFor, inventoryOf, type MadeUpPath } from "../support/synthetic-cache.js";

const day = 86_400_000;

function collected(paths: readonly MadeUpPath[], maxBytes: number | null = null): Collected {
  const inventory = inventoryOf(paths);
  const rules = { olderThanMs: 14 * day, maxBytes, pinned: new Set([hashPartFor("pinned")]) };
  return { inventory, plan: planGc(inventory, rules, cacheTime), unusedPins: ["x-*"], removed: null };
}

const old = { narinfoDays: 30, narDays: 30 };
const paths = [
  { name: "old", ...old },
  { name: "needed", ...old },
  { name: "pinned", ...old },
  { name: "young", narinfoDays: 1, narDays: 1, refs: ["needed"] },
];
const about = { label: "/srv/cache", dryRun: true, now: cacheTime };

test("a dry run lists what would go, and says why the rest stays", () => {
  expect(gcText(collected(paths), about)).toEqual([
    `would remove ${hashPartFor("old")} (400 B, 30 d, old)`,
    "/srv/cache: 1 path would go (400 B), 3 paths kept (1.2 KiB): 1 pinned, 1 young, 1 needed by these",
  ]);
  expect(gcText(collected(paths), { ...about, dryRun: false })).toEqual([
    "/srv/cache: 1 path removed (400 B), 3 paths kept (1.2 KiB): 1 pinned, 1 young, 1 needed by these",
  ]);
});

test("the same as JSON", () => {
  expect(gcJson(collected(paths), about)).toEqual({
    version: 1,
    dryRun: true,
    removed: {
      paths: 1,
      files: 0,
      bytes: 400,
      list: [{ path: hashPartFor("old"), reason: "old", bytes: 400, ageSeconds: 30 * 86_400 }],
      others: [],
    },
    kept: { paths: 3, bytes: 1200, pinned: 1, young: 1, needed: 1, damaged: 0 },
  });
});

test("what fits nothing is noted; damage, and a cache that is still too large, are failures", () => {
  expect(gcWarnings(collected(paths), null)).toEqual({
    notes: ["nothing in the cache fits what is to be kept: x-*"],
    failures: [],
  });
  const damaged = collected([...paths, { name: "torn", ...old, text: "torn" }], 100);
  expect(gcWarnings(damaged, 100).failures).toEqual([
    expect.stringMatching(/^1 narinfo can not be used/),
    expect.stringMatching(/^800 B are left, more than the 100 B/),
  ]);
});
