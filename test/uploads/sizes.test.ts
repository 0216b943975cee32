import { expect, test } from "vitest";
import type { LocalInfo } from "../../src/nix/path-infos.js";
import { createSizes } from "../../src/uploads/sizes.js";

/** Sizes as a Nix knows them that has these paths, and what it was asked for. */
function sizesFrom(store: Record<string, number>) {
  const asked: string[][] = [];
  const infos = async (paths: readonly string[]): Promise<Map<string, LocalInfo>> => {
    asked.push([...paths]);
    if (paths.includes("broken")) throw new Error("nix failed");
    const found = paths.filter((path) => path in store);
    return new Map(found.map((path) => [path, { size: store[path] } as LocalInfo]));
  };
  const clock = { ms: 0 };
  return { asked, clock, sizes: createSizes({ infos }, () => clock.ms) };
}

test("asks once for what is new, and forgets what does not wait any more", async () => {
  const { asked, sizes } = sizesFrom({ a: 10, b: 20 });
  expect(sizes.of("a")).toBeNull();
  await sizes.learn(["a"]);
  await Promise.all([sizes.learn(["a", "b"]), sizes.learn(["a", "b"])]);
  expect(["a", "b"].map(sizes.of)).toEqual([10, 20]);
  expect(asked).toEqual([["a"], ["b"]]);
  await sizes.learn(["b"]);
  expect(sizes.of("a")).toBeNull();
});

test("asks again for what Nix did not know, but not every time that somebody looks", async () => {
  const store: Record<string, number> = {};
  const { asked, clock, sizes } = sizesFrom(store);
  await sizes.learn(["a"]);
  store["a"] = 5;
  clock.ms = 9_000;
  await sizes.learn(["a"]);
  expect(sizes.of("a")).toBeNull();
  clock.ms = 10_000;
  await sizes.learn(["a"]);
  expect(sizes.of("a")).toBe(5);
  expect(asked).toHaveLength(2);
});

test("a Nix that fails leaves sizes unknown", async () => {
  const { sizes } = sizesFrom({ a: 5 });
  await sizes.learn(["a", "broken"]);
  expect(sizes.of("a")).toBeNull();
});
