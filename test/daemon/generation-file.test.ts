import { readdirSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pino } from "pino";
import { describe, expect, test } from "vitest";
import {
  formatGenerations,
  nothingSaved,
  readGenerations,
  writeGenerations,
  type Saved,
} from "../../src/daemon/generation-file.js";
import { temporaryFolder } from "../support/temp-folder.js";

const saved: Saved = {
  pi: {
    current: 3,
    lastUsed: Array.from({ length: 16 }, (_, i) => i * 1_000),
    denied: [
      ["a".repeat(32), 1_763_800_000_000],
      ["b".repeat(32), 1_763_800_000_001],
    ],
    lost: 5,
  },
  nas: nothingSaved,
};

/** What is read, and the words of the log. */
function read(file: string): { saved: Saved; said: string[] } {
  const said: string[] = [];
  const log = pino({ level: "info" }, { write: (line) => void said.push(line) });
  return { saved: readGenerations(file, log), said };
}

test("what is written is read back, in a folder of the user's own", async () => {
  const file = path.join(temporaryFolder(), "state/nix-tether/generations.json");
  await writeGenerations(file, {});
  await writeGenerations(file, saved);
  expect(read(file)).toEqual({ saved, said: [] });
  expect(readdirSync(path.dirname(file))).toEqual(["generations.json"]);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(statSync(path.dirname(file)).mode & 0o777).toBe(0o700);
});

test("where there is no file, nothing is known, and that is no trouble", () => {
  expect(read(path.join(temporaryFolder(), "none.json"))).toEqual({ saved: {}, said: [] });
});

describe("a damaged file is said to be one, and counts for nothing", () => {
  const pi = saved["pi"] as Saved[string];
  const wrong: [string, string][] = [
    ["empty", ""],
    ["cut", formatGenerations(saved).slice(0, 100)],
    ["no object", "3"],
    ["a later version", '{"version":2,"caches":{}}'],
    ["no caches", '{"version":1,"caches":[]}'],
    ["no generation", formatGenerations({ pi: { ...pi, current: 16 } })],
    ["a fraction", formatGenerations({ pi: { ...pi, current: 1.5 } })],
    ["too few times", formatGenerations({ pi: { ...pi, lastUsed: [1] } })],
    ["no time", formatGenerations({ pi: { ...pi, lastUsed: pi.lastUsed.with(3, NaN) } })],
    ["no hash part", formatGenerations({ pi: { ...pi, denied: [["../x", 1]] } })],
    ["a negative time", formatGenerations({ pi: { ...pi, denied: [["a".repeat(32), -1]] } })],
    ["nothing lost", formatGenerations({ pi: { ...pi, lost: null as never } })],
  ];
  test.each(wrong)("%s", (_what, content) => {
    const file = path.join(temporaryFolder(), "generations.json");
    writeFileSync(file, content);
    const { saved: found, said } = read(file);
    expect(found).toEqual({});
    expect(said).toHaveLength(1);
    expect(said[0]).toContain(file);
    expect(said[0]).toContain("starting anew");
  });

  test("a folder", () => {
    const { saved: found, said } = read(temporaryFolder());
    expect([found, said.length]).toEqual([{}, 1]);
  });
});

test("a failed write says what to do, and leaves the old file and no other", async () => {
  const folder = temporaryFolder();
  const file = path.join(folder, "generations.json");
  await writeGenerations(file, saved);
  const below = path.join(file, "generations.json");
  await expect(writeGenerations(below, {})).rejects.toMatchObject({
    code: "state-unwritable",
    message: expect.stringContaining(below) as string,
    remedy: expect.stringContaining("a folder that you can write to") as string,
  });
  const taken = path.join(folder, "taken");
  await writeGenerations(path.join(taken, "inner"), {});
  await expect(writeGenerations(taken, {})).rejects.toMatchObject({ code: "state-unwritable" });
  expect(readdirSync(folder).toSorted()).toEqual(["generations.json", "taken"]);
  expect(read(file).saved).toEqual(saved);
});
