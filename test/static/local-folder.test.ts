import { statSync } from "node:fs";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { createLocalFolder } from "../../src/static/local-folder.js";
import { testFolder } from "../support/folder-contract.js";
import { temporaryFolder } from "../support/temp-folder.js";

testFolder(async (folder) => createLocalFolder(folder));

test("a web server may read it all, whatever this user's umask", async () => {
  const root = temporaryFolder();
  const folder = createLocalFolder(path.join(root, "cache"));
  const { signal } = new AbortController();
  const before = process.umask(0o077);
  onTestFinished(() => void process.umask(before));
  await folder.makeFolder("nar", signal);
  await folder.create("nix-cache-info", Buffer.from("x"), signal);
  await folder.put("nar/x.nar", Buffer.from("x"), { signal });
  const modes = { "": 0o755, nar: 0o755, "nix-cache-info": 0o644, "nar/x.nar": 0o644 };
  for (const [name, mode] of Object.entries(modes))
    expect(statSync(path.join(root, "cache", name)).mode & 0o777, name).toBe(mode);
});
