import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { whereOthersCouldChange } from "../../src/doctor/root-only.js";
import { temporaryFolder } from "../support/temp-folder.js";

/** Where root is whoever runs the test, a folder of theirs is root's. */
const isRoot = process.getuid?.() === 0;

function place(): string {
  const folder = temporaryFolder();
  chmodSync(folder, 0o755);
  return folder;
}

test("what only root can write is safe, be it there or not", () => {
  expect(whereOthersCouldChange("/etc/passwd")).toBeNull();
  expect(whereOthersCouldChange("/etc/nix-tether-is-not-there/x.conf")).toBeNull();
  expect(whereOthersCouldChange("/nix/store/00000000000000000000000000000000-x/nix.conf")).toBeNull();
});

test("a file that anybody could make is not", () => {
  expect(whereOthersCouldChange("/tmp/nix-tether-is-not-there.conf")).toBe("/tmp");
});

test("a file or a folder that others can write is named", () => {
  const folder = place();
  const file = path.join(folder, "nix.conf");
  writeFileSync(file, "");
  expect(whereOthersCouldChange(file)).toBe(isRoot ? null : folder);
  chmodSync(file, 0o666);
  expect(whereOthersCouldChange(file)).toBe(isRoot ? file : folder);
  chmodSync(file, 0o644);
  chmodSync(folder, 0o777);
  expect(whereOthersCouldChange(file)).toBe(folder);
});

test("links are followed, and a circle of them ends", () => {
  const folder = place();
  mkdirSync(path.join(folder, "open"));
  chmodSync(path.join(folder, "open"), 0o777);
  symlinkSync("open/x", path.join(folder, "link"));
  symlinkSync("circle", path.join(folder, "circle"));
  expect(whereOthersCouldChange(path.join(folder, "link"))).toBe(isRoot ? path.join(folder, "open") : folder);
  expect(whereOthersCouldChange(path.join(folder, "circle"))).not.toBeNull();
});
