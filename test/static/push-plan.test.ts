import { expect, test } from "vitest";
import type { LocalInfo, LocalInfos } from "../../src/nix/path-infos.js";
import { inBatches, references, referencesFirst } from "../../src/static/push-plan.js";
import { Random } from "../support/random.js";

const MiB = 1024 * 1024;

function infosOf(
  paths: Record<string, readonly string[]>,
  size: (path: string) => number = () => 1,
): LocalInfos {
  const info = (path: string): LocalInfo => ({
    size: size(path),
    references: paths[path] ?? [],
    ultimate: true,
    deriver: null,
    registeredAt: 0,
    signatures: [],
    contentAddressed: false,
  });
  return new Map(Object.keys(paths).map((path) => [path, info(path)]));
}

test("each path comes behind what it refers to, whatever the order in which they are known", () => {
  const random = new Random("push-plan");
  const names = Array.from({ length: 300 }, (_, index) => `p${index}`);
  const graph = Object.fromEntries(
    names.map((name, index) => [
      name,
      // Itself, what is missing, and others before it.
      [name, "elsewhere", ...names.slice(0, index).filter(() => random.next() < 0.05)],
    ]),
  );
  const shuffled = Object.fromEntries(Object.entries(graph).toReversed());
  const infos = infosOf(shuffled);
  const ordered = referencesFirst(infos);
  expect(ordered.toSorted()).toEqual(names.toSorted());
  const at = new Map(ordered.map((name, index) => [name, index]));
  for (const name of names)
    for (const other of references(name, infos)) expect(at.get(other)).toBeLessThan(at.get(name) ?? -1);
});

test("a chain that is longer than a stack is put in order", () => {
  const graph: Record<string, string[]> = {};
  for (let index = 20_000; index > 0; index -= 1) graph[`p${index}`] = index === 1 ? [] : [`p${index - 1}`];
  expect(referencesFirst(infosOf(graph)).slice(0, 3)).toEqual(["p1", "p2", "p3"]);
});

test("pieces are bounded in number and in bytes, and derivations have pieces of their own", () => {
  const many = Array.from({ length: 2_500 }, (_, index) => `p${index}`);
  const small = inBatches(many, infosOf(Object.fromEntries(many.map((name) => [name, []]))));
  expect(small.map(({ paths }) => paths.length)).toEqual([1_000, 1_000, 500]);
  expect(small.flatMap(({ paths }) => paths)).toEqual(many);

  const sizes: Record<string, number> = { a: 40 * MiB, b: 40 * MiB, c: 5_000 * MiB, d: 1 };
  const large = infosOf({ a: [], b: [], c: [], d: [] }, (path) => sizes[path] ?? 0);
  expect(inBatches(["a", "b", "c", "d"], large)).toEqual([
    { paths: ["a"], derivations: false, size: 40 * MiB },
    { paths: ["b"], derivations: false, size: 40 * MiB },
    { paths: ["c"], derivations: false, size: 5_000 * MiB },
    { paths: ["d"], derivations: false, size: 1 },
  ]);

  const mixed = infosOf({ source: [], "x.drv": ["source"], "y.drv": ["x.drv"], out: [] });
  expect(
    inBatches(["source", "x.drv", "y.drv", "out"], mixed).map((one) => [one.paths, one.derivations]),
  ).toEqual([
    [["source"], false],
    [["x.drv", "y.drv"], true],
    [["out"], false],
  ]);
  expect(inBatches([], new Map())).toEqual([]);
});
