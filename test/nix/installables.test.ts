import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "vitest";
import { outputsOf, storePathsFor } from "../../src/nix/installables.js";
import { temporaryFolder } from "../support/temp-folder.js";

const hello = `/nix/store/${"a".repeat(32)}-hello`;

/** With a `nix` that notes its arguments. */
async function withNix(
  script: string,
): Promise<{ cwd: string; find: (...words: string[]) => Promise<string[]> }> {
  const cwd = temporaryFolder();
  await writeFile(path.join(cwd, "nix"), `#!/bin/sh\necho "$*" >${cwd}/called\n${script}\n`, { mode: 0o755 });
  const env = { PATH: `${cwd}:/usr/bin:/bin` };
  const { signal } = new AbortController();
  return { cwd, find: (...words) => storePathsFor(words, { env, cwd, signal }) };
}

test("paths, and what lies below them, are taken as they are", async () => {
  const { find } = await withNix("exit 1");
  expect(await find(hello, `${hello}/bin/hello`)).toEqual([hello]);
});

test("whatever else there is Nix builds", async () => {
  const { cwd, find } = await withNix(`echo '[{"drvPath":"x","outputs":{"out":"${hello}"}}]'`);
  expect(await find(".#hello", "nixpkgs#hi")).toEqual([hello]);
  expect(await readFile(path.join(cwd, "called"), "utf8")).toMatch(
    /build --no-link --json -- \.#hello nixpkgs#hi\n$/,
  );
});

test("what Nix can not build is told", async () => {
  const { find } = await withNix("exit 1");
  await expect(find("./nothing")).rejects.toMatchObject({ code: "build-failed" });
  await expect(find("--nothing")).rejects.toMatchObject({ code: "usage" });
  const silent = await withNix("echo nonsense");
  await expect(silent.find(".#hello")).rejects.toMatchObject({ code: "build-failed" });
});

test("the results of every kind are found in what Nix prints", () => {
  expect(
    outputsOf([{ drvPath: "x", outputs: { out: "/a", dev: "/b", lib: null } }, { path: "/c" }, "/d"]),
  ).toEqual(["/a", "/b", "/c", "/d"]);
  expect(() => outputsOf({})).toThrow(/no list/);
});
