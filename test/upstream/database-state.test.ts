import { describe, expect, it } from "vitest";
import {
  canHold,
  isQuiet,
  isUnchanged,
  listingPays,
  type DatabaseState,
} from "../../src/upstream/database-state.js";

const at = (database: number, log: number | null, nowAtLeast = 0): DatabaseState => ({
  database: { size: 1_000_000, modifiedAt: database },
  log: log === null ? null : { size: 4_000, modifiedAt: log },
  nowAtLeast,
});

describe("a database's state", () => {
  it("is quiet once all that was written can be seen, and what will be can be told from it", () => {
    expect(isQuiet(at(10_000, null, 19_000))).toBe(false);
    expect(isQuiet(at(10_000, null, 20_000))).toBe(true);
    expect(isQuiet(at(1_000, 10_000, 19_000))).toBe(false);
    expect(isQuiet(at(1_000, 10_000, 20_000))).toBe(true);
  });

  it("has changed with the time or the size of either file, and with nothing else", () => {
    const before = at(1_000, 2_000, 9_000);
    expect(isUnchanged(before, at(1_000, 2_000, 99_000))).toBe(true);
    expect(isUnchanged(before, at(1_000, 3_000))).toBe(false);
    expect(isUnchanged(before, at(2_000, 2_000))).toBe(false);
    expect(isUnchanged(before, at(1_000, null))).toBe(false);
    expect(isUnchanged(at(1_000, null), at(1_000, 2_000))).toBe(false);
    expect(isUnchanged(before, { ...before, log: { size: 8_000, modifiedAt: 2_000 } })).toBe(false);
    expect(isUnchanged(before, { ...before, database: { size: 1, modifiedAt: 1_000 } })).toBe(false);
  });

  it("holds no more paths than its files have room for", () => {
    expect(canHold(at(0, null), 3_000)).toBe(true);
    expect(canHold(at(0, null), 300_000)).toBe(false);
  });

  it("is worth listing where nobody waits long for it", () => {
    const [kilobyte, megabyte] = [1_000, 1_000_000];
    const of = (size: number): DatabaseState => ({ ...at(0, null), database: { size, modifiedAt: 0 } });
    // Bytes per millisecond: 1 Gbit/s, 50 Mbit/s, and 2 Mbit/s.
    expect(listingPays(of(200 * megabyte), 125_000)).toBe(true);
    expect(listingPays(of(60 * megabyte), 6_250)).toBe(true);
    expect(listingPays(of(400 * megabyte), 6_250)).toBe(false);
    expect(listingPays(of(2 * megabyte), 250)).toBe(false);
    expect(listingPays(of(300 * kilobyte), 250)).toBe(true);
  });
});
