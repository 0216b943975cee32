import { describe, expect, it } from "vitest";
import { createDenials } from "../../src/decision/denials.js";
import { negativeMs } from "../../src/decision/generation.js";

const start = Date.parse("2026-11-22T10:00:00Z");

describe("denials", () => {
  it("stand for an hour, the newest first", () => {
    const denials = createDenials(10);
    denials.add("a", start);
    denials.add("b", start + 1000);
    expect(denials.standing(start + 1000)).toEqual(["b", "a"]);
    expect(denials.standing(start + negativeMs)).toEqual(["b"]);
    expect(denials.standing(start + negativeMs + 1000)).toEqual([]);
  });

  it("stand from the last time a path was denied", () => {
    const denials = createDenials(10);
    for (const [i, one] of ["a", "b", "a"].entries()) denials.add(one, start + i);
    expect(denials.standing(start + 2)).toEqual(["a", "b"]);
    expect(denials.standing(start + negativeMs + 1)).toEqual(["a"]);
  });

  it("give up the oldest for want of room, and say for an hour of that one that there were more", () => {
    const denials = createDenials(2);
    for (const [i, one] of ["a", "b", "b"].entries()) denials.add(one, start + i);
    expect(denials.overflowed(start + 2)).toBe(false);
    denials.add("c", start + 1000);
    expect(denials.standing(start + 1000)).toEqual(["c", "b"]);
    expect(denials.overflowed(start + 1000)).toBe(true);
    expect(denials.overflowed(start + negativeMs)).toBe(false);
  });

  it("are gone with the URL they were given under", () => {
    const denials = createDenials(1);
    for (const one of ["a", "b"]) denials.add(one, start);
    denials.clear();
    expect(denials.standing(start)).toEqual([]);
    expect(denials.overflowed(start)).toBe(false);
  });

  it("outlive the daemon, in order and with what was given up", () => {
    const before = createDenials(2);
    for (const [i, one] of ["a", "b", "c"].entries()) before.add(one, start + i);
    const snapshot = before.snapshot(start + 2);
    expect(snapshot).toEqual({
      denied: [
        ["b", start + 1],
        ["c", start + 2],
      ],
      lost: start,
    });
    const after = createDenials(2, snapshot);
    expect(after.standing(start + 2)).toEqual(["c", "b"]);
    expect(after.overflowed(start + 2)).toBe(true);
    expect(createDenials(1, snapshot).standing(start + 2)).toEqual(["c"]);
    expect(before.snapshot(start + negativeMs + 1).denied).toEqual([["c", start + 2]]);
  });
});
