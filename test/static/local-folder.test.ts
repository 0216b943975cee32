import { chmod, mkdir, readdir, stat, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { createLocalFolder } from "../../src/static/local-folder.js";
import { temporaryFolder } from "../support/temp-folder.js";

const { signal } = new AbortController();

test("what is put is listed, read, touched and removed", async () => {
  const base = path.join(temporaryFolder(), "cache");
  const folder = createLocalFolder(base);
  expect(await folder.list("", signal)).toEqual([]);
  await folder.makeFolder("nar", signal);
  const source = path.join(path.dirname(base), "source");
  await writeFile(source, "x".repeat(100_000));
  let bytes = 0;
  await folder.put("nar/a.nar", { file: source }, { signal, onBytes: (more) => (bytes += more) });
  expect(bytes).toBe(100_000);
  await folder.put("b.narinfo", Buffer.from("one"), { signal });
  await folder.put("b.narinfo", Buffer.from("three"), { signal });
  expect((await stat(path.join(base, "b.narinfo"))).mode & 0o777).toBe(0o644);
  await folder.touch("b.narinfo", 1_000_000, signal);
  expect(await folder.stat("b.narinfo", signal)).toEqual({
    name: "b.narinfo",
    kind: "file",
    size: 5,
    modifiedAt: 1_000_000,
  });
  expect((await folder.list("", signal)).map(({ name, kind }) => `${kind} ${name}`).toSorted()).toEqual([
    "file b.narinfo",
    "folder nar",
  ]);
  expect((await folder.read("b.narinfo", 5, signal))?.toString()).toBe("three");
  await expect(folder.read("b.narinfo", 4, signal)).rejects.toThrow(/more than the 4/);
  expect(await text(folder.openRead("nar/a.nar", signal))).toHaveLength(100_000);
  expect(await folder.remove("nar/a.nar", signal)).toBe(true);
  expect(await folder.remove("nar/a.nar", signal)).toBe(false);
  expect(await folder.read("nar/a.nar", 1, signal)).toBeNull();
  expect(await folder.stat("nar/a.nar", signal)).toBeNull();
});

test("of several that make a file one does", async () => {
  const folder = createLocalFolder(temporaryFolder());
  const made = await Promise.all([1, 2, 3, 4].map((n) => folder.create("lock", Buffer.from(`${n}`), signal)));
  expect(made.filter((one) => one)).toHaveLength(1);
});

test("what can not be put leaves nothing behind and says what was being done", async () => {
  const base = temporaryFolder();
  const folder = createLocalFolder(base);
  await mkdir(path.join(base, "taken"));
  await expect(folder.put("taken", Buffer.from("x"), { signal })).rejects.toMatchObject({
    code: "cache-failed",
    message: expect.stringContaining(`write ${base}/taken`) as string,
  });
  const stop = AbortSignal.abort(new Error("stopped"));
  await expect(folder.put("x", Buffer.from("x"), { signal: stop })).rejects.toThrow("stopped");
  expect(await readdir(base)).toEqual(["taken"]);
});

test("a link that leads nowhere is passed over", async () => {
  const base = temporaryFolder();
  await symlink("/nowhere", path.join(base, "x"));
  await chmod(base, 0o755);
  expect(await createLocalFolder(base).list("", signal)).toEqual([]);
});
