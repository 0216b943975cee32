import { describe, expect, test } from "vitest";

import { createNarinfoMemory } from "../../src/gateway/narinfo-memory.js";
import { createTombstones } from "../../src/gateway/tombstones.js";
import { fakePath } from "../support/fake-upstream.js";

const { info } = fakePath("a");

describe("narinfo memory", () => {
  test("recalls what was remembered, until forgotten", () => {
    const memory = createNarinfoMemory(10, () => 0);
    expect(memory.recall("a")).toBeNull();
    memory.remember("a", info);
    expect(memory.recall("a")).toBe(info);
    memory.forget("a");
    expect(memory.recall("a")).toBeNull();
  });

  test("drops what was used least recently", () => {
    const memory = createNarinfoMemory(2, () => 0);
    memory.remember("a", info);
    memory.remember("b", info);
    memory.recall("a");
    memory.remember("c", info);
    expect(["a", "b", "c"].map((key) => memory.recall(key) !== null)).toEqual([true, false, true]);
  });

  test("tells by request only what is young enough; recalling does not make it younger", () => {
    let now = 0;
    const memory = createNarinfoMemory(2, () => now);
    memory.remember("a", info);
    now = 100;
    expect(memory.recall("a", 100)).toBe(info);
    now = 101;
    expect(memory.recall("a", 100)).toBeNull();
    expect(memory.recall("a")).toBe(info);
  });
});

describe("tombstones", () => {
  test("stand for their time, and go with clear", () => {
    let now = 0;
    const tombstones = createTombstones(30, () => now);
    tombstones.add("x");
    now = 29;
    expect(tombstones.has("x")).toBe(true);
    now = 30;
    expect(tombstones.has("x")).toBe(false);
    tombstones.add("x");
    tombstones.clear();
    expect(tombstones.has("x")).toBe(false);
  });

  test("are bounded", () => {
    const tombstones = createTombstones(30, () => 0);
    for (let i = 0; i <= 1_000; i += 1) tombstones.add(String(i));
    expect(tombstones.has("0")).toBe(false);
    expect(tombstones.has("1000")).toBe(true);
  });
});
