import { mkdir, readdir, utimes } from "node:fs/promises";
import path from "node:path";
import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { openStaging } from "../../src/static/staging.js";
import { temporaryFolder } from "../support/temp-folder.js";

test("what a push that was killed has left goes when it is a day old", async () => {
  const base = temporaryFolder();
  const gone = spawnSync("true").pid;
  const daysOld = {
    [`nix-tether-push-${gone}-young1`]: 0.9,
    [`nix-tether-push-${gone}-old001`]: 1.1,
    [`nix-tether-push-${process.pid}-runs01`]: 9,
    "nix-tether-push-unnumb": 1.1,
    "nix-tether-other": 9,
  };
  for (const [name, days] of Object.entries(daysOld)) {
    await mkdir(path.join(base, name, "cache"), { recursive: true });
    const then = new Date(Date.now() - days * 86_400_000);
    await utimes(path.join(base, name), then, then);
  }
  const staging = await openStaging({ signingKey: null, compression: "none" }, new Map(), { TMPDIR: base });
  expect(path.dirname(path.dirname(staging.folder))).toBe(base);
  await staging.remove();
  expect((await readdir(base)).toSorted()).toEqual(
    [
      "nix-tether-other",
      `nix-tether-push-${gone}-young1`,
      `nix-tether-push-${process.pid}-runs01`,
    ].toSorted(),
  );
});
