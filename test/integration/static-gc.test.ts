// `gc` of static caches: one of 5,000 paths, here and by the SFTP of a real sshd, and one that the real Nix has made.

import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { runBuilt, runHere, type ProgramRun } from "../support/program.js";
import { makeSftpFixture, type SftpFixture } from "../support/sftp-fixture.js";
import { brokenNarinfos, pushedForAMonth, writeCache } from "../support/synthetic-cache.js";
import { temporaryFolder } from "../support/temp-folder.js";

const run = promisify(execFile);

const gc = (folder: string, ...args: string[]): Promise<ProgramRun> =>
  runHere(["gc", folder, ...args], { home: temporaryFolder() });

/** All that is said then: no warning of Node's either. */
const interruption = "nix-tether: interrupted; what is in the cache is complete\n";

describe("5,000 paths with shared references", () => {
  let source = "";
  let made = 0;

  beforeAll(async () => {
    source = await mkdtemp(path.join(tmpdir(), "nix-tether-cache-"));
    await writeCache(source, pushedForAMonth(5_000, "gc"));
    made = (await readdir(source)).filter((name) => name.endsWith(".narinfo")).length;
  });
  afterAll(() => rm(source, { recursive: true, force: true }));

  /** A collection changes no file, it only takes them away. */
  const copy = async (how = "-al"): Promise<string> => {
    const folder = path.join(temporaryFolder(), "cache");
    await run("cp", [how, source, folder]);
    return folder;
  };
  const narinfosIn = async (folder: string): Promise<string[]> =>
    (await readdir(folder)).filter((name) => name.endsWith(".narinfo"));

  test("every closure that is kept is whole, where `find` breaks many", async () => {
    const byFind = await copy("-a");
    await run("find", [byFind, "-type", "f", "-not", "-name", "nix-cache-info", "-atime", "+14", "-delete"]);
    expect((await brokenNarinfos(byFind)).length).toBeGreaterThan(500);

    const folder = await copy();
    // It counts whole days, and so takes what is fifteen days old.
    const { code, out, err } = await gc(folder, "--older-than", "15d", "--json");
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(await brokenNarinfos(folder)).toEqual([]);
    const { removed, kept } = JSON.parse(out) as {
      removed: { paths: number };
      kept: { paths: number; needed: number };
    };
    const left = new Set(await narinfosIn(folder));
    expect(left.size).toBe(kept.paths);
    expect(removed.paths).toBe(made - left.size);
    expect(removed.paths).toBeGreaterThan(500);
    expect(kept.needed).toBeGreaterThan(50);
    expect((await narinfosIn(byFind)).filter((name) => !left.has(name))).toEqual([]);
    const named = await Promise.all([...left].map((name) => readFile(path.join(folder, name), "utf8")));
    const nars = new Set(named.map((text) => /^URL: nar\/(.*)$/m.exec(text)?.[1] ?? ""));
    expect((await readdir(path.join(folder, "nar"))).filter((name) => !nars.has(name))).toEqual([]);
  });

  test("killed in the middle, it leaves a valid cache, and the next one goes on", async () => {
    const folder = temporaryFolder();
    await writeCache(folder, pushedForAMonth(2_000, "kill"));
    const lock = path.join(folder, ".nix-tether-gc");
    const killed = await endWhenBegun(folder, "SIGKILL");
    expect(killed).toMatchObject({ code: null, out: "" });
    expect(await brokenNarinfos(folder)).toEqual([]);
    const busy = await gc(folder, "--max-size", "20K", "--wait", "0");
    expect(busy).toMatchObject({ code: 1, out: "" });
    expect(busy.err).toMatch(/in use: gc by .*, process \d+, since/);
    // Ten minutes later.
    const old = new Date(Date.now() - 601_000);
    await utimes(lock, old, old);
    const interrupted = await endWhenBegun(folder, "SIGINT");
    expect(interrupted).toEqual({ code: 130, out: "", err: interruption });
    expect(await brokenNarinfos(folder)).toEqual([]);
    expect(await gc(folder, "--max-size", "20K")).toMatchObject({ code: 0, err: "" });
    expect(await brokenNarinfos(folder)).toEqual([]);
    expect(await readdir(folder)).not.toContain(".nix-tether-gc");
    expect((await narinfosIn(folder)).length).toBeLessThan(200);
  });

  async function endWhenBegun(
    folder: string,
    signal: NodeJS.Signals,
    { target = folder, ...where }: { target?: string; home?: string; env?: NodeJS.ProcessEnv } = {},
  ): Promise<ProgramRun> {
    const before = (await readdir(folder)).length;
    const begun = async (): Promise<boolean> => (await narinfosIn(folder)).length < before - 10;
    return runBuilt(["gc", target, "--max-size", "20K"], {
      home: temporaryFolder(),
      ...where,
      end: { signal, when: begun },
    });
  }

  test("from afar, in seconds", async () => {
    const fixture: SftpFixture = await makeSftpFixture();
    onTestFinished(async () => {
      await fixture.endTest();
      await fixture.dispose();
    });
    const sshd = await fixture.sshd();
    const folder = await copy();
    const target = `sftp://127.0.0.1:${sshd.port}${folder}`;
    await writeFile(fixture.knownHosts, `${sshd.knownHostsLine("127.0.0.1")}\n`, { flag: "a" });
    const begun = performance.now();
    const { code, out, err } = await runHere(["gc", target, "--older-than", "14d"], {
      home: path.join(fixture.dir, "home"),
      env: fixture.env,
    });
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(/: \d+ paths removed \(/);
    expect(performance.now() - begun).toBeLessThan(30_000);
    expect(await brokenNarinfos(folder)).toEqual([]);
    // Interrupted, it still takes its lock away.
    const interrupted = await endWhenBegun(folder, "SIGINT", { target, env: fixture.env });
    expect(interrupted).toEqual({ code: 130, out: "", err: interruption });
    expect(await brokenNarinfos(folder)).toEqual([]);
    expect(await readdir(folder)).not.toContain(".nix-tether-gc");
  });
});
