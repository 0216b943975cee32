import { describe, expect, test } from "vitest";
import { fold, withFailure, type Entry } from "../../src/uploads/entry.js";
import { backoffMs, dueAt, forgive, nextBatch, nextDue } from "../../src/uploads/plan.js";
import { storePath } from "../support/store-paths.js";

const now = 1_000_000_000;
const nothing: ReadonlyMap<string, number> = new Map();
const moment = { target: "pi", now, forgiven: nothing };

function entry(name: string, notBefore: number | null = null, permanent = false): Entry {
  const fresh = fold(undefined, { path: storePath(name), deriver: null, since: 0 }, ["pi", "nas"]);
  return notBefore === null && !permanent
    ? fresh
    : withFailure(fresh, "pi", { code: "x", text: "x", permanent, notBefore });
}

test("of those that are due what has not failed goes first, then the oldest, as many as fit", () => {
  const entries = [
    entry("failed", now),
    entry("a"),
    entry("late", now + 1),
    entry("aside", null, true),
    entry("b"),
  ];
  expect(nextBatch(entries, 50, moment)).toEqual(["a", "b", "failed"].map(storePath));
  expect(nextBatch(entries, 2, moment)).toEqual(["a", "b"].map(storePath));
  expect(nextBatch(entries, 50, { ...moment, target: "nas" })).toHaveLength(5);
  expect(nextBatch(entries, 50, { ...moment, target: "other" })).toEqual([]);
});

test("the next one is known, or that there is none", () => {
  expect(nextDue([entry("a", now + 50), entry("b", now + 20)], moment)).toBe(now + 20);
  expect(nextDue([entry("aside", null, true)], moment)).toBeNull();
});

describe("what failed waits", () => {
  test("longer each time, up to five minutes", () => {
    expect([1, 2, 3, 6, 7, 1000, Infinity].map(backoffMs)).toEqual([
      5_000, 10_000, 20_000, 160_000, 300_000, 300_000, 300_000,
    ]);
  });

  test("but not when the target returns", () => {
    const late = entry("late", now + 60_000);
    const forgiven = forgive([late, entry("a")], "pi");
    expect(forgiven).toEqual(new Map([[late.path, now + 60_000]]));
    expect(nextBatch([late], 50, { ...moment, forgiven })).toEqual([late.path]);
    // What fails anew waits anew.
    expect(nextBatch([entry("late", now + 70_000)], 50, { ...moment, forgiven })).toEqual([]);
  });

  test("not for ever where the clock was set back", () => {
    expect(dueAt(entry("late", now + 300_000), moment)).toBe(now + 300_000);
    expect(dueAt(entry("late", now + 300_001), moment)).toBe(0);
  });
});
