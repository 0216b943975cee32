import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { nothingSaved, type Saved } from "../../src/daemon/generation-file.js";
import { createGenerations } from "../../src/daemon/generations.js";
import { eventually } from "../support/eventually.js";
import { silentLog } from "../support/silent-log.js";

const start = Date.parse("2026-11-22T10:00:00Z");
const hour = 3_600_000;
const hash = (i: number): string => String(i).padStart(32, "0");

function setUp(saved: Saved = {}, refused: readonly number[] = []) {
  const there = new Set<string>();
  const asked: string[][] = [];
  const moved: string[] = [];
  const clock = { now: start };
  let changes = 0;
  const generations = createGenerations({
    caches: ["pi", "nas"],
    saved,
    servesAny: async (_cache, hashParts) => {
      asked.push([...hashParts]);
      return hashParts.some((one) => there.has(one));
    },
    refused: () => new Set(refused),
    onMoved: (cache) => moved.push(cache),
    onChanged: () => (changes += 1),
    timesOf: () => ({ periodMs: 20, uploadMs: 1, retryMs: 5, roundMs: 1_000, settleMs: 1_000 }),
    now: () => clock.now,
    log: silentLog,
  });
  const deny = (i: number, generation: number | null = generations.current("pi")): void =>
    generations.answered({ cache: "pi", generation, hashPart: hash(i), found: false });
  const begin = () => {
    const rechecks = generations.begin("pi");
    onTestFinished(() => rechecks.end());
    return rechecks;
  };
  return { generations, there, asked, moved, clock, deny, begin, changes: () => changes };
}

describe("when the cache returns", () => {
  it("moves on to no URL that Nix would ignore", async () => {
    const { generations, begin, deny, there } = setUp({}, [1, 2, 4]);
    deny(1);
    there.add(hash(1));
    await begin().settled;
    expect(generations.current("pi")).toBe(3);
  });

  it("stays where nothing was denied", () => {
    const { generations, begin, moved, asked } = setUp();
    expect(begin().settled).toBeNull();
    expect([generations.current("pi"), moved, asked]).toEqual([0, [], []]);
  });

  it("stays where what was denied is not there, and keeps it in mind", async () => {
    const { generations, begin, deny, asked } = setUp();
    deny(1);
    deny(2);
    await begin().settled;
    expect([generations.current("pi"), asked[0]]).toEqual([0, [hash(2), hash(1)]]);
    expect(generations.snapshot()["pi"]?.denied).toHaveLength(2);
  });

  it("moves on where something is there, before it is settled, and knows of no denials then", async () => {
    const { generations, begin, deny, there, moved } = setUp();
    deny(1);
    deny(2);
    there.add(hash(1));
    await begin().settled;
    expect([generations.current("pi"), generations.current("nas"), moved]).toEqual([1, 0, ["pi"]]);
    expect(generations.snapshot()["pi"]?.denied).toEqual([]);
  });

  it("assumes the worst where more was denied than it could keep in mind", async () => {
    const { generations, begin, deny } = setUp();
    for (let i = 0; i <= 4_000; i += 1) deny(i);
    await begin().settled;
    expect(generations.current("pi")).toBe(1);
  });

  it("forgets denials as Nix does", async () => {
    const { generations, begin, deny, there, clock } = setUp();
    deny(1);
    there.add(hash(1));
    clock.now += hour + 120_000;
    expect(begin().settled).toBeNull();
    expect(generations.current("pi")).toBe(0);
  });
});

describe("while it is there", () => {
  it("moves on when something has come that was denied", async () => {
    const { generations, begin, deny, there, moved } = setUp();
    begin();
    deny(1);
    await sleep(60);
    expect(moved).toEqual([]);
    there.add(hash(1));
    await eventually("it has moved", () => moved.length === 1);
    expect(generations.current("pi")).toBe(1);
  });

  it("moves for no denial under another URL: that one is not listed any more", async () => {
    const { generations, begin, deny, there, moved, asked } = setUp();
    begin();
    there.add(hash(1));
    deny(1, 7);
    deny(1, null);
    await sleep(60);
    expect([generations.current("pi"), moved, asked]).toEqual([0, [], []]);
  });

  it("asks no more once the link is gone", async () => {
    const { begin, deny, asked } = setUp();
    const rechecks = begin();
    rechecks.end();
    deny(1);
    await sleep(60);
    expect(asked).toEqual([]);
  });

  it("does not come to a URL that was asked under within the hour, be it by an answer that was found", async () => {
    const { generations, begin, deny, there } = setUp();
    generations.answered({ cache: "pi", generation: 1, hashPart: hash(9), found: true });
    deny(9, 2);
    deny(1);
    there.add(hash(1));
    await begin().settled;
    expect(generations.current("pi")).toBe(3);
  });
});

describe("over a restart", () => {
  it("keeps the URL, when each was used, and what was denied", async () => {
    const before = setUp();
    before.deny(1);
    before.deny(2, 1);
    const saved = before.generations.snapshot();
    expect(saved["pi"]).toEqual({
      current: 0,
      lastUsed: nothingSaved.lastUsed.with(0, start).with(1, start),
      denied: [[hash(1), start]],
      lost: 0,
    });
    const after = setUp(saved);
    after.there.add(hash(1));
    await after.begin().settled;
    expect(after.generations.current("pi")).toBe(2);
    expect(setUp(after.generations.snapshot()).generations.current("pi")).toBe(2);
  });

  it("says when there is something new to save", async () => {
    const { deny, begin, there, changes } = setUp();
    deny(1);
    expect(changes()).toBe(1);
    there.add(hash(1));
    await begin().settled;
    expect(changes()).toBe(2);
  });
});
