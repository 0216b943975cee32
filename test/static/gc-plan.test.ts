import * as fc from "fast-check";
import { expect, test } from "vitest";
import { changedAt, planGc, type GcPlan, type GcRules } from "../../src/static/gc-plan.js";
import type { Inventory } from "../../src/static/inventory.js";
import {
  cacheTime,
  daysAgo,
  hashPartFor,
  inventoryOf,
  narNameFor,
  type MadeUpPath,
} from "../support/synthetic-cache.js";

const day = 86_400_000;

function plan(made: readonly MadeUpPath[], rules: Partial<GcRules> & { keep?: string[] } = {}): GcPlan {
  const { keep = [], ...others } = rules;
  const pinned = new Set(keep.map(hashPartFor));
  return planGc(inventoryOf(made), { olderThanMs: 14 * day, maxBytes: null, pinned, ...others }, cacheTime);
}

function old(name: string, ...refs: string[]): MadeUpPath {
  return { name, refs, narinfoDays: 30, narDays: 30 };
}

function young(name: string, ...refs: string[]): MadeUpPath {
  return { name, refs, narinfoDays: 1, narDays: 30 };
}

function names(made: readonly MadeUpPath[], hashParts: Iterable<string>): string[] {
  const known = new Map(made.map(({ name }) => [hashPartFor(name), name]));
  return [...hashParts].map((hashPart) => known.get(hashPart) ?? "?").toSorted();
}

test("what is old goes, but for what something young, at however many removes, refers to", () => {
  const made = [old("a", "b"), old("b"), young("c", "d"), old("d", "e", "d"), old("e")];
  const { gone, kept } = plan(made);
  expect(names(made, gone.keys())).toEqual(["a", "b"]);
  const why = new Map([...kept].map(([hashPart, reason]) => [names(made, [hashPart])[0], reason]));
  expect(Object.fromEntries(why)).toEqual({ c: "young", d: "needed", e: "needed" });
});

test("a NAR that was put again makes its path young", () => {
  expect(plan([{ name: "a", narinfoDays: 30, narDays: 2 }]).gone.size).toBe(0);
});

test("what is pinned stays, and what it needs", () => {
  const made = [old("a", "b"), old("b"), old("c")];
  expect(names(made, plan(made, { keep: ["a"] }).gone.keys())).toEqual(["c"]);
});

test("what can not be read stays, and all that it mentions", () => {
  const made = [{ ...old("a", "b"), text: "torn" }, old("b"), old("c")];
  const { gone, batches } = plan(made);
  expect(names(made, gone.keys())).toEqual(["c"]);
  expect(batches.flat().map(({ name }) => name)).not.toContain(narNameFor(old("a")));
});

test("referrers go before references, a narinfo before its NAR, and a shared NAR with the last", () => {
  const made = [old("a", "b"), { ...old("b"), narOf: "a" }, old("c", "b")];
  const [first, second, third, ...more] = plan(made).batches.map((batch) =>
    batch.map(({ name }) => name).toSorted(),
  );
  const infos = (...of: string[]): string[] => of.map((name) => `${hashPartFor(name)}.narinfo`);
  expect(first).toEqual(infos("a", "c").toSorted());
  expect(second).toEqual([...infos("b"), narNameFor(old("c"))].toSorted());
  expect(third).toEqual([narNameFor(old("a"))]);
  expect(more).toEqual([]);
});

test("the listing of a NAR goes with its path, and counts", () => {
  const inventory = inventoryOf([old("a"), young("b")]);
  const listing = { name: `${hashPartFor("a")}.ls`, size: 50, modifiedAt: daysAgo(30) };
  const paths = new Map(
    [...inventory.paths].map(([key, path]) => [key, key === hashPartFor("a") ? { ...path, listing } : path]),
  );
  const rules = { olderThanMs: 14 * day, maxBytes: null, pinned: new Set<string>() };
  const { batches, bytes } = planGc({ ...inventory, paths }, rules, cacheTime);
  expect(batches.map((batch) => batch.length)).toEqual([1, 2]);
  expect(batches[1]).toContainEqual(listing);
  expect(bytes).toEqual({ all: 850, removed: 450 });
});

test("a NAR that something kept shares stays", () => {
  const { batches } = plan([old("a"), { ...young("b"), narOf: "a" }]);
  // As young as the younger one's narinfo is, its NAR is not.
  expect(batches.flat().map(({ name }) => name)).toEqual([`${hashPartFor("a")}.narinfo`]);
});

test("what belongs to nothing goes when it is older than the limit, and a day in any case", () => {
  const file = (name: string, days: number): { name: string; size: number; modifiedAt: number } => ({
    name,
    size: 10,
    modifiedAt: daysAgo(days),
  });
  const nars = [file("nar/old.nar", 20), file("nar/younger.nar", 10), file("nar/new.nar", 0.5)];
  const inventory: Inventory = {
    paths: new Map(),
    nars: new Map(nars.map((one) => [one.name, one])),
    leftovers: [file(".tmp-1", 2), file("nar/.tmp-2", 0.5)],
  };
  const goes = (olderThanMs: number): string[] =>
    planGc(inventory, { olderThanMs, maxBytes: null, pinned: new Set() }, cacheTime).rubbish.map(
      ({ name }) => name,
    );
  expect(goes(14 * day)).toEqual([".tmp-1", "nar/old.nar"]);
  expect(goes(0)).toEqual([".tmp-1", "nar/old.nar", "nar/younger.nar"]);
});

test("for room, whole paths go that nothing refers to, the longest unchanged first", () => {
  const at = (name: string, days: number, ...refs: string[]): MadeUpPath => ({
    name,
    refs,
    narinfoDays: days,
    narDays: days,
    narBytes: 1000,
  });
  // Each takes 1,300 bytes with its narinfo.
  const made = [
    at("lib", 9),
    at("old-app", 5, "lib"),
    at("app", 2, "lib"),
    at("lone", 4),
    at("older-lib", 8),
  ];
  const left = (maxBytes: number, keep: string[] = []): string[] =>
    names(made, plan(made, { olderThanMs: null, maxBytes, keep }).kept.keys());
  expect(left(6500)).toHaveLength(5);
  expect(left(6499)).toEqual(["app", "lib", "lone", "old-app"]);
  expect(left(4000)).toEqual(["app", "lib", "lone"]);
  expect(left(2600)).toEqual(["app", "lib"]);
  expect(left(1300)).toEqual(["lib"]);
  expect(left(0)).toEqual([]);
  expect(left(0, ["old-app"])).toEqual(["lib", "old-app"]);
});

/** Any cache: references go to earlier ones only, as they do where a path's hash is made of what it refers to. */
const anyCache = fc
  .array(
    fc.record({
      refs: fc.array(fc.nat(), { maxLength: 4 }),
      narinfoDays: fc.integer({ min: 0, max: 30 }),
      narDays: fc.integer({ min: 0, max: 30 }),
      shares: fc.option(fc.nat(), { nil: undefined }),
      narMissing: fc.boolean(),
      damaged: fc.nat({ max: 9 }),
      pinned: fc.nat({ max: 9 }),
    }),
    { minLength: 1, maxLength: 40 },
  )
  .map((drawn) => {
    const keep: string[] = [];
    const made = drawn.map((one, index): MadeUpPath => {
      const { refs, narinfoDays, narDays, shares, damaged, pinned, narMissing } = one;
      const earlier = (number: number): string => `p${number % Math.max(1, index)}`;
      if (pinned === 0) keep.push(`p${index}`);
      return {
        name: `p${index}`,
        // The last one may refer to itself, too.
        refs: index === 0 ? [] : [...refs.map(earlier), ...(index % 3 === 0 ? [`p${index}`] : [])],
        narinfoDays,
        narDays,
        ...(shares === undefined || index === 0 ? {} : { narOf: earlier(shares) }),
        ...(damaged === 0 ? { text: "torn" } : {}),
        narMissing: narMissing && shares === undefined,
      };
    });
    return { made, keep };
  });

test("after any part of it, whatever is still there has the references and the NAR that it had", () => {
  fc.assert(
    fc.property(
      anyCache,
      fc.nat(20),
      fc.option(fc.nat(6000), { nil: null }),
      fc.nat(),
      fc.nat(),
      ({ made, keep }, days, maxBytes, cut, seed) => {
        const inventory = inventoryOf(made);
        const pinned = new Set(keep.map(hashPartFor));
        const { batches, gone, kept } = planGc(
          inventory,
          { olderThanMs: days * day, maxBytes, pinned },
          cacheTime,
        );
        // Whole batches, and any of the files of the next one.
        const whole = batches.slice(0, cut % (batches.length + 1));
        const part = (batches[whole.length] ?? []).filter((_, index) => ((seed >> (index % 30)) & 1) === 1);
        const removed = new Set([...whole.flat(), ...part].map(({ name }) => name));
        for (const { file, nars, references, hashPart } of inventory.paths.values()) {
          if (removed.has(file.name)) {
            expect(gone.has(hashPart)).toBe(true);
            continue;
          }
          for (const nar of nars) expect(removed.has(nar)).toBe(false);
          for (const reference of references) expect(removed.has(`${reference}.narinfo`)).toBe(false);
        }
        const all = new Set(batches.flat().map(({ name }) => name));
        expect(all.size).toBe(batches.flat().length);
        for (const path of inventory.paths.values()) {
          expect(kept.has(path.hashPart)).toBe(!gone.has(path.hashPart));
          expect(all.has(path.file.name)).toBe(gone.has(path.hashPart));
          const isYoung = changedAt(inventory, path) > cacheTime - days * day;
          if (gone.has(path.hashPart)) {
            expect(pinned.has(path.hashPart) || path.problem !== null).toBe(false);
            if (maxBytes === null) expect(isYoung).toBe(false);
          }
          // A NAR goes just when none of those that name it stay.
          for (const nar of path.nars) {
            const stays = [...inventory.paths.values()].some(
              (one) => one.nars.includes(nar) && kept.has(one.hashPart),
            );
            expect(all.has(nar)).toBe(!stays && inventory.nars.has(nar));
          }
        }
      },
    ),
    { numRuns: 300 },
  );
});

test("what is over the size is only what must stay", () => {
  fc.assert(
    fc.property(anyCache, fc.nat(9000), ({ made, keep }, maxBytes) => {
      const inventory = inventoryOf(made);
      const pinned = new Set(keep.map(hashPartFor));
      const { kept, bytes } = planGc(inventory, { olderThanMs: null, maxBytes, pinned }, cacheTime);
      if (bytes.all - bytes.removed <= maxBytes) return;
      const must = [...kept].filter(([, why]) => why === "pinned" || why === "damaged");
      const reached = new Set(must.map(([hashPart]) => hashPart));
      for (const one of reached)
        for (const reference of inventory.paths.get(one)?.references ?? []) reached.add(reference);
      for (const hashPart of kept.keys()) expect(reached.has(hashPart)).toBe(true);
    }),
    { numRuns: 300 },
  );
});
