// Whole files or none, and reads with an end.

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { flushFolder, readBounded, replaceFile } from "../../src/util/durable-file.js";
import { temporaryFolder } from "../support/temp-folder.js";

test("a file is replaced, for its owner alone unless that is said otherwise", async () => {
  const folder = temporaryFolder();
  const file = path.join(folder, "file");
  writeFileSync(file, "before", { mode: 0o644 });
  await replaceFile(file, "after");
  await flushFolder(folder);
  expect(readFileSync(file, "utf8")).toBe("after");
  expect(statSync(file).mode & 0o777).toBe(0o600);
  await replaceFile(file, "for all", { mode: 0o644 });
  expect(statSync(file).mode & 0o777).toBe(0o644);
  expect(readdirSync(folder)).toEqual(["file"]);
});

test("a link is replaced, and what it leads to left alone", async () => {
  const folder = temporaryFolder();
  writeFileSync(path.join(folder, "target"), "before");
  symlinkSync("target", path.join(folder, "link"));
  await replaceFile(path.join(folder, "link"), "after");
  expect(readFileSync(path.join(folder, "target"), "utf8")).toBe("before");
  expect(readFileSync(path.join(folder, "link"), "utf8")).toBe("after");
});

test("what can not be put into place leaves nothing behind", async () => {
  const folder = temporaryFolder();
  mkdirSync(path.join(folder, "taken"));
  await expect(replaceFile(path.join(folder, "taken"), "text")).rejects.toThrow();
  await expect(replaceFile(path.join(folder, "missing", "file"), "text")).rejects.toThrow();
  expect(readdirSync(folder)).toEqual(["taken"]);
});

test("only regular files of a bounded size are read", async () => {
  const folder = temporaryFolder();
  const at = (name: string): string => path.join(folder, name);
  writeFileSync(at("file"), "grüße");
  writeFileSync(at("empty"), "");
  writeFileSync(at("latin"), Buffer.from([0xe9]));
  symlinkSync("file", at("link"));
  mkdirSync(at("folder"));
  execFileSync("mkfifo", [at("pipe")]);
  expect(await readBounded(at("file"), 7)).toBe("grüße");
  expect(await readBounded(at("empty"), 7)).toBe("");
  await expect(readBounded(at("file"), 6)).rejects.toThrow("larger than 6 bytes");
  await expect(readBounded(at("latin"), 7)).rejects.toThrow();
  await expect(readBounded(at("link"), 7)).rejects.toThrow("ELOOP");
  await expect(readBounded(at("folder"), 7)).rejects.toThrow("not a regular file");
  await expect(readBounded(at("pipe"), 7)).rejects.toThrow("not a regular file");
});
