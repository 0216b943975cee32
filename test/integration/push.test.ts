// A push by the SFTP of a real sshd, staged and read again by real Nix, old and new.

import { execFile, execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { pushPaths, type PushDeps, type PushReport, type PushRequest } from "../../src/static/push.js";
import { staleMs } from "../../src/static/activity.js";
import type { StaticTarget } from "../../src/static/target.js";
import { validityOf } from "../support/cache-validity.js";
import { startCutProxy, type CutProxy } from "../support/cut-proxy.js";
import { makeStore, type NixStore } from "../support/nix-store.js";
import { nixBin, type NixVersion } from "../support/private-nix.js";
import { makeSftpFixture, sftpHost, type SftpFixture } from "../support/sftp-fixture.js";
import type { Sshd } from "../support/sshd.js";
import { temporaryFolder } from "../support/temp-folder.js";

const run = promisify(execFile);
const { signal } = new AbortController();
let fixture: SftpFixture;
let sshd: Sshd;
let store: NixStore;
let publicKey: string;
/** Of ten paths: each refers to the two before it, one of them to itself. */
let top: string;
let closure: string[];
let keyFile: string;

beforeAll(async () => {
  fixture = await makeSftpFixture();
  store = await makeStore();
  closure = await makeChain(10, 40_000);
  top = closure.at(-1) ?? "";
  keyFile = path.join(fixture.dir, "cache-key");
  await writeFile(keyFile, await nix("2.8", "key", "generate-secret", "--key-name", "nas-1"));
  publicKey = (
    await run("sh", [
      "-c",
      `nix --extra-experimental-features nix-command key convert-secret-to-public <'${keyFile}'`,
    ])
  ).stdout;
});
afterAll(async () => {
  await fixture.dispose();
  await store.dispose();
});
afterEach(() => fixture.endTest());

/** Paths of random content, each of which refers to the two before it. */
async function makeChain(count: number, size: number): Promise<string[]> {
  const paths: string[] = [];
  for (let index = 0; index < count; index += 1)
    paths.push(await store.addFile(`link-${index}`, randomBytes(size), { references: paths.slice(-2) }));
  return paths;
}

function envOf(version: NixVersion): NodeJS.ProcessEnv {
  return { ...store.env, ...fixture.env, PATH: `${nixBin(version)}${fixture.env["PATH"]}` };
}

async function nix(version: NixVersion, ...args: string[]): Promise<string> {
  const words = ["--extra-experimental-features", "nix-command", ...args];
  return (await run("nix", words, { env: envOf(version) })).stdout;
}

async function push(
  target: StaticTarget,
  paths: readonly string[],
  more: { version?: NixVersion; request?: Partial<PushRequest>; deps?: Partial<PushDeps> } = {},
): Promise<PushReport> {
  const env = envOf(more.version ?? "2.8");
  const deps = { ...fixture.deps(), env, waitMs: 0, patienceMs: 20_000, ...more.deps };
  return pushPaths({ target, paths, signal, ...more.request }, deps);
}

/** Fetches with signatures checked into an empty store; resolves to the paths that are valid there. */
async function fetchAll(version: NixVersion, folder: string, paths: readonly string[]): Promise<string[]> {
  const other = await makeStore({ conf: `trusted-public-keys = ${publicKey.trim()}` });
  try {
    const env = { ...other.env, PATH: envOf(version)["PATH"] };
    const words = ["--extra-experimental-features", "nix-command"];
    await run("nix", [...words, "copy", "--from", `file://${folder}`, ...paths], { env });
    await run("nix-store", ["--verify", "--check-contents"], { env });
    return (await run("nix-store", ["-qR", ...paths], { env })).stdout.trim().split("\n").toSorted();
  } finally {
    await other.dispose();
  }
}

describe.each([
  ["2.8", "zstd"],
  ["2.8", "xz"],
  ["2.34", "zstd"],
  ["2.34", "none"],
] as const)("with Nix %s and %s", (version, compression) => {
  test("a closure arrives signed and whole, and goes a second time only where it is old", async () => {
    sshd = await fixture.sshd();
    const folder = path.join(temporaryFolder(), "new", "cache");
    const target = { ...fixture.target(sshd, folder), signingKey: keyFile, compression };
    const seen: number[] = [];
    const request = { onProgress: ({ bytes }: { bytes: { sent: number } }) => void seen.push(bytes.sent) };
    const first = await push(target, [top], { version, request });
    expect(first).toMatchObject({ paths: 10, alreadyThere: 0, unsigned: 0, cuts: 0 });
    expect(first.bytes).toBeGreaterThan(400_000);
    expect(seen.at(-1)).toBe(first.narBytes);
    expect(validityOf(folder)).toEqual({ paths: closure.toSorted(), problems: [] });
    expect(await readFile(path.join(folder, "nix-cache-info"), "utf8")).toContain("StoreDir: /nix/store\n");
    expect(await fetchAll(version, folder, [top])).toEqual(closure.toSorted());
    expect((await readdir(folder)).filter((name) => name.startsWith("."))).toEqual([]);
    const stray = (await readdir("/var/tmp")).filter((name) =>
      name.startsWith(`nix-tether-push-${process.pid}-`),
    );
    expect(stray).toEqual([]);

    const old = new Date(Date.now() - 5 * 86_400_000);
    const [one = ""] = (await readdir(folder)).filter((name) => name.endsWith(".narinfo"));
    await utimes(path.join(folder, one), old, old);
    const second = await push(target, [top, ...closure.slice(0, 3)], { version });
    expect(second).toMatchObject({ paths: 0, alreadyThere: 10, bytes: 0 });
    expect(Math.abs((await stat(path.join(folder, one))).mtimeMs - Date.now())).toBeLessThan(60_000);
  });
});

test("what lacks its NAR, or the key's signature, is sent again; what is not signed is counted", async () => {
  sshd = await fixture.sshd();
  const folder = temporaryFolder();
  const target = fixture.target(sshd, folder);
  expect(await push(target, [top])).toMatchObject({ paths: 10, unsigned: 10 });
  const [nar = ""] = await readdir(path.join(folder, "nar"));
  await writeFile(path.join(folder, "nar", nar), "short");
  expect(validityOf(folder).problems).toHaveLength(1);
  expect(await push(target, [top])).toMatchObject({ paths: 1, alreadyThere: 9 });
  // Signed, but no NAR goes a second time.
  const signed = await push({ ...target, signingKey: keyFile }, [top]);
  expect(signed).toMatchObject({ paths: 10, alreadyThere: 0, unsigned: 0, bytes: 0 });
  expect(await fetchAll("2.8", folder, [top])).toEqual(closure.toSorted());
  // By another key, which leaves the first one's signatures to those who trust these.
  const otherKey = path.join(fixture.dir, "other-key");
  await writeFile(otherKey, await nix("2.8", "key", "generate-secret", "--key-name", "other-1"));
  expect(await push({ ...target, signingKey: otherKey }, [top])).toMatchObject({ paths: 10, bytes: 0 });
  expect(await fetchAll("2.8", folder, [top])).toEqual(closure.toSorted());
  expect(await push({ ...target, signingKey: keyFile }, [top])).toMatchObject({ paths: 0 });
  // By one that was made anew under the same name.
  await writeFile(otherKey, await nix("2.8", "key", "generate-secret", "--key-name", "nas-1"));
  expect(await push({ ...target, signingKey: otherKey }, [top])).toMatchObject({ paths: 10, bytes: 0 });
  expect(await push({ ...target, signingKey: otherKey }, [top])).toMatchObject({ paths: 0 });
});

test("bad input changes nothing", async () => {
  sshd = await fixture.sshd();
  const folder = temporaryFolder();
  const target = fixture.target(sshd, folder);
  const absent = `/nix/store/${"a".repeat(32)}-nothing`;
  await expect(push(target, [top, absent])).rejects.toMatchObject({ code: "path-missing" });
  await expect(push(target, [`${top}.drv`])).rejects.toMatchObject({ code: "not-uploadable" });
  const noKey = { ...target, signingKey: path.join(fixture.dir, "known_hosts") };
  await expect(push(noKey, [top])).rejects.toMatchObject({ code: "signing-key-unusable" });
  expect(await readdir(folder)).toEqual([]);
  await writeFile(path.join(folder, "letter.txt"), "");
  await expect(push(target, [top])).rejects.toMatchObject({ code: "not-a-cache" });
  await rm(path.join(folder, "letter.txt"));
  await writeFile(path.join(folder, "nix-cache-info"), "StoreDir: /gnu/store\n");
  await expect(push(target, [top])).rejects.toMatchObject({ code: "not-a-cache" });
  expect(await readdir(folder)).toEqual(["nix-cache-info"]);
});

test("a full disk ends it with a valid cache, and with no file that is half there", async () => {
  sshd = await fixture.sshd();
  const disk = temporaryFolder();
  await run("mount", ["-t", "tmpfs", "-o", "size=300k", "none", disk]);
  try {
    await mkdir(path.join(disk, "cache"));
    await expect(push(fixture.target(sshd, path.join(disk, "cache")), [top])).rejects.toMatchObject({
      code: "cache-full",
    });
    expect(validityOf(path.join(disk, "cache")).problems).toEqual([]);
    const nars = await readdir(path.join(disk, "cache", "nar"));
    expect(nars.filter((name) => name.startsWith("."))).toEqual([]);
  } finally {
    await run("umount", ["-l", disk]);
  }
});

test("after a sleep that a collection may have come in, a push looks again before it says that all is there", async () => {
  sshd = await fixture.sshd();
  const folder = temporaryFolder();
  const target = fixture.target(sshd, folder);
  const now = Date.now.bind(Date);
  let slept = 0;
  const clock = vi.spyOn(Date, "now").mockImplementation(() => now() + slept);
  onTestFinished(() => clock.mockRestore());
  const topInfo = path.join(folder, `${path.basename(top).slice(0, 32)}.narinfo`);
  const afterAllArrived: PushRequest["onProgress"] = ({ paths }) => {
    if (slept > 0 || paths.arrived < 10) return;
    slept += staleMs;
    rmSync(topInfo);
  };
  expect(await push(target, [top], { request: { onProgress: afterAllArrived } })).toMatchObject({
    paths: 10,
  });
  expect(validityOf(folder)).toEqual({ paths: closure.toSorted(), problems: [] });
  // Of what is there already nothing is touched by one that may have to wait for a collection first.
  const old = new Date(now() - 5 * 86_400_000);
  await utimes(topInfo, old, old);
  let looks = 0;
  const whileLooking: PushRequest["onProgress"] = ({ state }) => {
    if (state === "looking" && (looks += 1) === 1) slept += staleMs;
  };
  const second = await push(target, [top], { request: { onProgress: whileLooking } });
  expect(second).toMatchObject({ paths: 0, alreadyThere: 10 });
  expect(looks).toBe(2);
  expect((await readdir(folder)).filter((name) => name.startsWith("."))).toEqual([]);
});

describe("over a link that is cut", () => {
  let proxy: CutProxy;
  let folder: string;
  let target: StaticTarget;
  const begin = async (): Promise<void> => {
    sshd = await fixture.sshd();
    proxy = await startCutProxy(sshd, () => Infinity);
    await writeFile(
      fixture.knownHosts,
      sshd.knownHostsLine(sftpHost).replace(`:${sshd.port}`, `:${proxy.port}`),
    );
    folder = path.join(temporaryFolder(), "cache");
    target = { ...fixture.target(proxy, folder), signingKey: keyFile, compression: "none" };
  };

  test("twenty times: the cache is whole at every moment, and in the end complete", async () => {
    await begin();
    const paths = [...(await makeChain(20, 200_000)), await store.addFile("large", randomBytes(12_000_000))];
    const problems: string[] = [];
    const snapshots: string[] = [];
    let next = 0;
    const onProgress: PushRequest["onProgress"] = ({ bytes, waits }) => {
      if (waits !== null || proxy.cuts >= 20 || bytes.sent < next || bytes.all === 0) return;
      next = ((proxy.cuts + 1) * bytes.all) / 21;
      proxy.cut();
      problems.push(...validityOf(folder, { hashes: false }).problems);
      if (proxy.cuts < 6 * (snapshots.length + 1)) return;
      snapshots.push(`${folder}-${proxy.cuts}`);
      execFileSync("cp", ["-rl", folder, `${folder}-${proxy.cuts}`]);
    };
    const report = await push(target, paths, { request: { onProgress } });
    expect(proxy.cuts).toBeGreaterThanOrEqual(20);
    expect(report.cuts).toBeGreaterThanOrEqual(20);
    expect(report.paths).toBe(21);
    expect(problems).toEqual([]);
    expect(validityOf(folder)).toEqual({ paths: paths.toSorted(), problems: [] });
    expect(await fetchAll("2.8", folder, paths)).toEqual(paths.toSorted());
    expect(snapshots.length).toBeGreaterThanOrEqual(3);
    for (const snapshot of snapshots) {
      const { paths: there } = validityOf(snapshot);
      if (there.length > 0) expect(await fetchAll("2.8", snapshot, there)).toEqual(there);
    }
    await proxy.close();
  });

  test("one that does not return ends it in time; another push sends only the rest", async () => {
    await begin();
    const paths = await makeChain(15, 200_000);
    proxy.slow(5_000_000);
    const onProgress: PushRequest["onProgress"] = ({ paths: { arrived } }) => {
      if (arrived >= 5) proxy.cut({ refuse: true });
    };
    const deps = { patienceMs: 500 };
    await expect(push(target, paths, { request: { onProgress }, deps })).rejects.toMatchObject({
      code: "ssh-failed",
    });
    const { paths: there, problems } = validityOf(folder);
    expect(problems).toEqual([]);
    expect(there.length).toBeGreaterThanOrEqual(5);
    proxy.allow();
    proxy.slow(Infinity);
    const second = await push(target, paths);
    expect(second).toMatchObject({ alreadyThere: there.length, paths: 15 - there.length });
    expect(validityOf(folder).paths).toHaveLength(15);
    await proxy.close();
  });
});
