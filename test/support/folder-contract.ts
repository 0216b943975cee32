// What every kind of cache folder must do, tried on a folder of this machine that it leads to.

import { chmod, mkdir, readdir, stat, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import type { CacheFolder } from "../../src/static/cache-folder.js";
import { temporaryFolder } from "./temp-folder.js";

const { signal } = new AbortController();

/** `open` makes one for a folder; it need not be closed by the test. */
export function testFolder(open: (folder: string) => Promise<CacheFolder>): void {
  test("what is put is listed, read, touched and removed", async () => {
    const base = path.join(temporaryFolder(), "cache");
    const folder = await open(base);
    expect(await folder.list("", signal)).toEqual([]);
    await folder.makeFolder("nar", signal);
    await folder.makeFolder("nar", signal);
    const source = path.join(path.dirname(base), "source");
    const content = Buffer.alloc(3_000_000, "some words that are no zeros ");
    await writeFile(source, content);
    let bytes = 0;
    await folder.put("nar/a.nar", { file: source }, { signal, onBytes: (more) => (bytes += more) });
    expect(bytes).toBe(content.length);
    await folder.put("b.narinfo", Buffer.from("one"), { signal });
    await folder.put("b.narinfo", Buffer.from("three"), { signal });
    await folder.put("empty", Buffer.alloc(0), { signal });
    expect((await stat(path.join(base, "b.narinfo"))).mode & 0o777).toBe(0o644);
    expect((await stat(path.join(base, "nar"))).mode & 0o777).toBe(0o755);
    await folder.touch("b.narinfo", 1_000_000, signal);
    expect(await folder.stat("b.narinfo", signal)).toEqual({
      name: "b.narinfo",
      kind: "file",
      size: 5,
      modifiedAt: 1_000_000,
    });
    expect((await folder.list("", signal)).map(({ name, kind }) => `${kind} ${name}`).toSorted()).toEqual([
      "file b.narinfo",
      "file empty",
      "folder nar",
    ]);
    expect((await folder.read("b.narinfo", 5, signal))?.toString()).toBe("three");
    expect((await folder.read("nar/a.nar", 4_000_000, signal))?.equals(content)).toBe(true);
    expect((await folder.read("empty", 5, signal))?.length).toBe(0);
    await expect(folder.read("b.narinfo", 4, signal)).rejects.toThrow(/more than the 4/);
    expect(await text(folder.openRead("nar/a.nar", signal))).toBe(content.toString());
    expect(await folder.remove("nar/a.nar", signal)).toBe(true);
    expect(await folder.remove("nar/a.nar", signal)).toBe(false);
    expect(await folder.read("nar/a.nar", 1, signal)).toBeNull();
    expect(await folder.stat("nar/a.nar", signal)).toBeNull();
    await expect(text(folder.openRead("nar/a.nar", signal))).rejects.toMatchObject({ code: "cache-failed" });
  });

  test("a folder with more names than one answer holds is listed whole", async () => {
    const base = temporaryFolder();
    const names = Array.from({ length: 1_234 }, (_, index) => `${index}.narinfo`);
    for (const name of names) await writeFile(path.join(base, name), name);
    const listed = await (await open(base)).list("", signal);
    expect(listed.map(({ name }) => name).toSorted()).toEqual(names.toSorted());
    expect(listed.every(({ name, size }) => size === name.length)).toBe(true);
  });

  test("of several that make a file one does", async () => {
    const folder = await open(temporaryFolder());
    const made = await Promise.all(
      [1, 2, 3, 4].map((n) => folder.create("lock", Buffer.from(`${n}`), signal)),
    );
    expect(made.filter((one) => one)).toHaveLength(1);
  });

  test("what can not be put leaves nothing behind and says what was being done", async () => {
    const base = temporaryFolder();
    const folder = await open(base);
    await mkdir(path.join(base, "taken"));
    await expect(folder.put("taken", Buffer.from("x"), { signal })).rejects.toMatchObject({
      code: "cache-failed",
      message: expect.stringContaining(`write ${base}/taken`) as string,
    });
    await expect(folder.create("no/such", Buffer.from("x"), signal)).rejects.toMatchObject({
      code: "cache-failed",
    });
    const stop = AbortSignal.abort(new Error("stopped"));
    await expect(folder.put("x", Buffer.from("x"), { signal: stop })).rejects.toThrow("stopped");
    await expect.poll(() => readdir(base)).toEqual(["taken"]);
  });

  test("a link leads where it leads; one to nowhere is passed over", async () => {
    const base = temporaryFolder();
    await writeFile(path.join(base, "file"), "12345");
    await symlink("/nowhere", path.join(base, "x"));
    await symlink("file", path.join(base, "y"));
    await chmod(base, 0o755);
    const listed = await (await open(base)).list("", signal);
    expect(listed.map(({ name, kind, size }) => `${kind} ${name} ${size}`).toSorted()).toEqual([
      "file file 5",
      "file y 5",
    ]);
  });

  test("what must not be done any more is not done", async () => {
    const folder = await open(temporaryFolder());
    await folder.put("x", Buffer.from("before"), { signal });
    const before = await folder.stat("x", signal);
    const check = (): void => {
      throw new Error("no more");
    };
    await expect(folder.put("x", Buffer.from("after"), { signal, check })).rejects.toThrow("no more");
    await expect(folder.touch("x", 1_000_000, signal, check)).rejects.toThrow("no more");
    await expect(folder.remove("x", signal, check)).rejects.toThrow("no more");
    expect(await folder.stat("x", signal)).toEqual(before);
    expect((await folder.list("", signal)).map(({ name }) => name)).toEqual(["x"]);
  });
}
