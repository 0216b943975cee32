import { appendFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "vitest";
import { nameOf, readInventory, type Inventory } from "../../src/static/inventory.js";
import { createLocalFolder } from "../../src/static/local-folder.js";
import {
  hashPartFor,
  narNameFor,
  narinfoTextFor,
  storePathFor,
  writeCache,
  type MadeUpPath,
} from "../support/synthetic-cache.js";
import { temporaryFolder } from "../support/temp-folder.js";

const { signal } = new AbortController();
const day = { narinfoDays: 1, narDays: 1 };

function inventoryIn(folder: string): Promise<Inventory> {
  return readInventory(createLocalFolder(folder), { signal });
}

test("paths, what they refer to, and what belongs to none of them", async () => {
  const folder = temporaryFolder();
  const app: MadeUpPath = { name: "app", refs: ["lib", "app"], ...day };
  await writeCache(folder, [app, { name: "lib", ...day }]);
  const others = [
    ".tmp-1",
    "nar/.tmp-2",
    "nar/x.nar.xz.tmp.12.3",
    ".nix-tether-push-1",
    `${hashPartFor("app")}.ls`,
    `${hashPartFor("gone")}.ls`,
    "README",
  ];
  for (const name of others) await writeFile(path.join(folder, name), "");
  const { paths, nars, leftovers } = await inventoryIn(folder);
  expect([...paths.values()].map(nameOf).toSorted()).toEqual(
    ["app", "lib"].map((name) => storePathFor(name).slice(11)).toSorted(),
  );
  expect(paths.get(hashPartFor("app"))).toMatchObject({
    references: [hashPartFor("lib")],
    nars: [narNameFor(app)],
    listing: { name: `${hashPartFor("app")}.ls` },
    problem: null,
  });
  expect(nars.size).toBe(2);
  expect(leftovers.map(({ name }) => name).toSorted()).toEqual(
    others.filter((name) => name !== "README" && !name.startsWith(hashPartFor("app"))).toSorted(),
  );
});

test("what can not be used refers to all that it mentions", async () => {
  const folder = temporaryFolder();
  const made: MadeUpPath = { name: "app", refs: ["lib"], ...day };
  await writeCache(folder, [
    { ...made, text: narinfoTextFor(made).replace(/^NarHash.*$/m, "NarHash: sha256:no") },
    { ...made, name: "out", text: narinfoTextFor(made).replace(/^URL: nar/m, "URL: ../nar") },
    { ...made, name: "empty", text: "" },
  ]);
  const { paths } = await inventoryIn(folder);
  expect(paths.get(hashPartFor("app"))).toMatchObject({
    narinfo: null,
    problem: expect.stringContaining("NarHash") as string,
    references: [hashPartFor("lib")],
    nars: [narNameFor(made)],
  });
  expect(paths.get(hashPartFor("out"))).toMatchObject({
    problem: "its URL leads out of nar/",
    references: [hashPartFor("app"), hashPartFor("lib")],
  });
  expect(paths.get(hashPartFor("empty"))).toMatchObject({ references: [], nars: [] });
});

test("a narinfo of any length is not read", async () => {
  const folder = temporaryFolder();
  await writeCache(folder, [{ name: "app", ...day }]);
  await appendFile(path.join(folder, `${hashPartFor("app")}.narinfo`), Buffer.alloc(5 * 1024 * 1024));
  expect((await inventoryIn(folder)).paths.get(hashPartFor("app"))?.problem).toMatch(/too long/);
});
