import { mkdirSync, readdirSync, readlinkSync, symlinkSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { createRoots } from "../../src/farm/roots.js";
import { temporaryFolder } from "../support/temp-folder.js";

const attribute = 'packages."x y"/z';

function farm(): {
  builds: () => string[];
  build: (run: string, targets: Record<string, string>) => Promise<void>;
  folder: string;
} {
  const folder = temporaryFolder();
  const places = { roots: path.join(folder, "roots"), good: path.join(folder, "good") };
  return {
    folder,
    builds: () => readdirSync(path.join(places.roots, encodeURIComponent(attribute))).toSorted(),
    // As Nix does it: `result`, `result-doc`.
    build: async (run, targets) => {
      const roots = createRoots(places, run, 2);
      const link = await roots.begin(attribute);
      for (const [output, target] of Object.entries(targets))
        symlinkSync(target, output === "out" ? link : `${link}-${output}`);
      if (Object.keys(targets).length > 0) await roots.good(attribute);
      await roots.sweep([attribute]);
    },
  };
}

test("the last ones are kept, the same once more is none of them, and one that failed leaves nothing", async () => {
  const { builds, build, folder } = farm();
  await build("1", { out: "/nix/store/a", doc: "/nix/store/a-doc" });
  await build("2", { out: "/nix/store/b" });
  expect(builds()).toEqual(["1", "2"]);
  await build("3", {});
  expect(builds()).toEqual(["1", "2"]);
  await build("4", { out: "/nix/store/b" });
  expect(builds()).toEqual(["1", "4"]);
  await build("5", { bin: "/nix/store/c-bin" });
  expect(builds()).toEqual(["4", "5"]);
  const good = path.join(folder, "good", encodeURIComponent(attribute));
  expect(readlinkSync(path.resolve(path.dirname(good), readlinkSync(good)))).toBe("/nix/store/c-bin");
});

test("another attribute's roots go when it is not built any more", async () => {
  const folder = temporaryFolder();
  const places = { roots: path.join(folder, "roots"), good: path.join(folder, "good") };
  const roots = createRoots(places, "1", 1);
  for (const name of ["a", "b"]) {
    symlinkSync(`/nix/store/${name}`, await roots.begin(name));
    await roots.good(name);
  }
  mkdirSync(path.join(folder, "roots/old"));
  await roots.sweep(["b"]);
  expect(readdirSync(places.roots)).toEqual(["b"]);
  expect(readdirSync(places.good)).toEqual(["b"]);
  expect(await roots.lastGood("b")).toBe("/nix/store/b");
  expect(await roots.lastGood("a")).toBeNull();
});
