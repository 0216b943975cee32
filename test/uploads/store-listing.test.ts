import { writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { changedSince } from "../../src/uploads/store-listing.js";
import { storePath } from "../support/store-paths.js";
import { temporaryFolder } from "../support/temp-folder.js";

const never = new AbortController().signal;

test("what was changed is found among more files than are looked at at once", async () => {
  const folder = temporaryFolder();
  const paths = Array.from({ length: 200 }, (_, n) => storePath(`thing-${n}`));
  const others = [storePath("x.drv"), "/nix/store/.links"];
  const began = Date.now() - 2_000;
  for (const one of [...paths, ...others]) writeFileSync(path.join(folder, path.basename(one)), "");
  expect([...(await changedSince(folder, began, never)).keys()].toSorted()).toEqual(paths.toSorted());
  expect((await changedSince(folder, Date.now() + 60_000, never)).size).toBe(0);
});

test("it ends when nobody wants to know any more, and where the folder is gone", async () => {
  const folder = temporaryFolder();
  const gone = new Error("closed");
  await expect(changedSince(folder, 0, AbortSignal.abort(gone))).rejects.toBe(gone);
  await expect(changedSince(path.join(folder, "no"), 0, never)).rejects.toMatchObject({ code: "ENOENT" });
});
