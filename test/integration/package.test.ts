// What `npm pack` makes of the built repository: nothing is missing that the program or a person needs, and nothing is there
// that neither does.

import { execFile } from "node:child_process";
import { readFileSync, readdirSync, symlinkSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { temporaryFolder } from "../support/temp-folder.js";

const run = promisify(execFile);
const repository = path.resolve(import.meta.dirname, "../..");

/** Made here, and not kept by git: `npm run bench` builds into one, for instance. */
const made = ["build", "coverage", "test-results"];

const unshipped = ["bench", "nix", "node_modules", "scripts", "src", "test"];

function foldersOf(folder: string): string[] {
  const entries = readdirSync(folder, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  return names.filter((name) => !name.startsWith(".") && !made.includes(name)).toSorted();
}

test("the package holds what it needs, and runs where it is unpacked", async () => {
  const folder = temporaryFolder();
  await run("npm", ["pack", "--ignore-scripts", "--pack-destination", folder], { cwd: repository });
  const [archive = ""] = readdirSync(folder);
  await run("tar", ["-xf", archive], { cwd: folder });
  const root = path.join(folder, "package");
  const { files } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as { files: string[] };
  expect(readdirSync(root).toSorted()).toEqual([...files, "package.json"].toSorted());
  for (const name of foldersOf(root).filter((one) => one !== "dist"))
    expect(readdirSync(path.join(root, name)), name).toEqual(readdirSync(path.join(repository, name)));
  // Whoever adds a folder says whether it is for the users.
  expect(foldersOf(repository)).toEqual([...foldersOf(root), ...unshipped].toSorted());

  symlinkSync(path.join(repository, "node_modules"), path.join(root, "node_modules"));
  const main = path.join(root, "dist/main.js");
  const { stdout: hook } = await run(main, ["hook-script"]);
  expect(path.relative(root, hook.trim())).toBe("hooks/post-build-hook.sh");
  const { stdout: version } = await run(main, ["--version"]);
  expect(readFileSync(path.join(root, "man/nix-tether.1"), "utf8")).toContain(version.trim());
});
