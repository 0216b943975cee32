// Static caches that the real Nix has made: damaged in every way and checked, collected, served, and read by Nix again.

import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  truncate,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { configSchema } from "../../src/config/schema.js";
import { beginCollection } from "../../src/static/activity.js";
import { pushMarkPrefix } from "../../src/static/cache-names.js";
import { collect } from "../../src/static/collect.js";
import { createLocalFolder } from "../../src/static/local-folder.js";
import { pushPaths, type PushReport, type PushRequest } from "../../src/static/push.js";
import { resolveTarget } from "../../src/static/target.js";
import { makeStore, type NixStore } from "../support/nix-store.js";
import { mainFile, runHere, type ProgramRun } from "../support/program.js";
import { silentLog } from "../support/silent-log.js";
import { brokenNarinfos } from "../support/synthetic-cache.js";
import { temporaryFolder } from "../support/temp-folder.js";

const run = promisify(execFile);
const { signal } = new AbortController();

/** Of the paths in the cache, by what they are for. */
interface Paths {
  readonly lib: string;
  readonly app: string;
  readonly tool: string;
  readonly lone: string;
}

let dir = "";
let source: NixStore;
let paths: Paths;
let publicKey = "";
/** One cache for each way to compress. */
const caches: Record<string, string> = {};

beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "nix-tether-static-"));
  source = await makeStore();
  const lib = await source.addFile("lib", "lib".repeat(1000), { references: [] });
  const app = await source.addFile("app", `app ${lib}`, { references: [lib] });
  const tool = await source.addFile("tool", `tool ${app}`, { references: [app, lib] });
  const lone = await source.addFile("lone", "lone", { references: [] });
  paths = { lib, app, tool, lone };
  publicKey = await source.sign("test-1", lib, app, tool, lone);
  for (const compression of ["xz", "zstd", "none"]) {
    const cache = path.join(dir, compression);
    await source.run("nix", "copy", "--to", `file://${cache}?compression=${compression}`, tool, lone);
    caches[compression] = cache;
  }
});

afterAll(async () => {
  await source?.dispose();
  await rm(dir, { recursive: true, force: true });
});

async function copyOf(compression = "xz"): Promise<string> {
  const cache = path.join(temporaryFolder(), "cache");
  await run("cp", ["-a", caches[compression] ?? "", cache]);
  return cache;
}

function program(...args: string[]): Promise<ProgramRun> {
  return runHere(args, { home: temporaryFolder() });
}

function narinfoOf(storePath: string): string {
  return `${storePath.slice("/nix/store/".length, "/nix/store/".length + 32)}.narinfo`;
}

async function narOf(cache: string, storePath: string): Promise<string> {
  const text = await readFile(path.join(cache, narinfoOf(storePath)), "utf8");
  return path.join(cache, /^URL: (.*)$/m.exec(text)?.[1] ?? "");
}

async function edit(file: string, change: (text: string) => string): Promise<void> {
  const text = await readFile(file, "utf8");
  const changed = change(text);
  expect(changed).not.toBe(text);
  await writeFile(file, changed);
}

/** Has the real Nix copy all that the cache has, with what it needs, into an empty store; resolves to the names. */
async function fetchedFrom(url: string, cache: string, key = publicKey): Promise<string[]> {
  const store = await makeStore({ conf: `trusted-public-keys = ${key}` });
  onTestFinished(() => store.dispose());
  const wanted = [paths.lib, paths.app, paths.tool, paths.lone];
  const there = new Set(await readdir(cache));
  const all = wanted.filter((one) => there.has(narinfoOf(one)));
  if (all.length > 0) await store.run("nix", "copy", "--from", url, ...all);
  return all.map((one) => one.slice("/nix/store/".length + 33)).toSorted();
}

async function makeOld(cache: string, days: number): Promise<void> {
  const old = new Date(Date.now() - days * 86_400_000);
  for (const folder of [cache, path.join(cache, "nar")])
    for (const name of await readdir(folder)) await utimes(path.join(folder, name), old, old);
}

interface Report {
  readonly problems: readonly { kind: string; path: string; file: string }[];
  readonly notDecompressed: Readonly<Record<string, number>>;
  readonly repair: { readonly paths: readonly string[] } | null;
}

async function fsck(cache: string, ...args: string[]): Promise<Report & { code: number | null }> {
  const { code, out, err } = await program("fsck", cache, "--json", ...args);
  expect(err).toBe("");
  return { ...(JSON.parse(out) as Report), code };
}

describe("fsck", () => {
  test.each(["xz", "zstd", "none"])(
    "finds nothing wrong with what Nix has made (%s)",
    async (compression) => {
      const cache = caches[compression] ?? "";
      const report = await fsck(cache, "--full", "--public-key", publicKey);
      expect(report).toMatchObject({ code: 0, problems: [], notDecompressed: {}, repair: null });
    },
  );

  type Damage = (cache: string) => Promise<void>;
  const damages: [kind: string, needsFull: boolean, left: string[], damage: Damage][] = [
    ["missing-nar", false, ["lib", "lone"], async (cache) => rm(await narOf(cache, paths.app))],
    ["missing-reference", false, ["lone"], (cache) => rm(path.join(cache, narinfoOf(paths.lib)))],
    [
      "wrong-size",
      false,
      ["app", "lib", "lone"],
      async (cache) => truncate(await narOf(cache, paths.tool), 5),
    ],
    [
      "unusable-narinfo",
      false,
      ["lib", "lone"],
      (cache) => edit(path.join(cache, narinfoOf(paths.app)), (text) => text.slice(0, 100)),
    ],
    [
      "wrong-name",
      false,
      ["app", "lib", "tool"],
      (cache) =>
        edit(path.join(cache, narinfoOf(paths.lone)), (text) =>
          text.replace(/^StorePath: \/nix\/store\/.{32}/m, `StorePath: /nix/store/${"0".repeat(32)}`),
        ),
    ],
    [
      "wrong-file-hash",
      true,
      ["lib", "lone"],
      async (cache) => {
        const nar = await narOf(cache, paths.app);
        const bytes = await readFile(nar);
        bytes.writeUInt8(bytes.readUInt8(40) ^ 1, 40);
        await writeFile(nar, bytes);
      },
    ],
    [
      "wrong-nar",
      true,
      ["lib", "lone"],
      (cache) =>
        edit(path.join(cache, narinfoOf(paths.app)), (text) =>
          text.replace(
            /^NarHash: sha256:./m,
            (head) => `${head.slice(0, -1)}${head.endsWith("0") ? "1" : "0"}`,
          ),
        ),
    ],
  ];

  test.each(damages)("finds %s, and repairs it", async (kind, needsFull, left, damage) => {
    const cache = await copyOf();
    await damage(cache);
    const full = needsFull ? ["--full", "--public-key", publicKey] : [];
    if (needsFull) expect((await fsck(cache)).code).toBe(0);
    const found = await fsck(cache, ...full);
    expect(found.code).toBe(1);
    expect(found.problems.map((problem) => problem.kind)).toContain(kind);
    expect(found.repair).toBeNull();
    const repaired = await fsck(cache, "--repair", ...full);
    expect(repaired.code).toBe(0);
    expect(repaired.repair?.paths).not.toEqual([]);
    expect(await fetchedFrom(`file://${cache}`, cache)).toEqual(left);
    expect(await fsck(cache, "--full", "--public-key", publicKey)).toMatchObject({ code: 0, problems: [] });
  });

  test("what is merely unsigned is told, and stays", async () => {
    const cache = await copyOf();
    await edit(path.join(cache, narinfoOf(paths.lone)), (text) => text.replace(/^Sig: .*\n/m, ""));
    const report = await fsck(cache, "--repair", "--public-key", publicKey);
    expect(report).toMatchObject({ code: 1, problems: [{ kind: "untrusted" }], repair: { paths: [] } });
    expect(await readdir(cache)).toContain(narinfoOf(paths.lone));
  });

  test("what a cut has left is no problem, and goes when it is old", async () => {
    const cache = await copyOf();
    const names = [".tmp-0123456789abcdef", "nar/.tmp-x.nar.xz", "nar/orphan.nar.xz"];
    for (const name of names) await writeFile(path.join(cache, name), "x");
    const { code, out } = await program("fsck", cache);
    expect(code).toBe(0);
    expect(out).toContain("3 files of no path, which do no harm");
    await program("fsck", cache, "--repair");
    expect(await readdir(cache)).toContain(".tmp-0123456789abcdef");
    const old = new Date(Date.now() - 25 * 3_600_000);
    for (const name of names) await utimes(path.join(cache, name), old, old);
    await program("fsck", cache, "--repair");
    expect((await fsck(cache)).code).toBe(0);
    expect([...(await readdir(cache)), ...(await readdir(path.join(cache, "nar")))].join(" ")).not.toMatch(
      /tmp|orphan/,
    );
  });

  test("in words", async () => {
    const cache = await copyOf();
    await rm(await narOf(cache, paths.app));
    const { out } = await program("fsck", cache, "--repair");
    expect(out).toMatch(/-app: its NAR is missing \(nar\/.*\.nar\.xz\)$/m);
    expect(out).toMatch(/: 4 paths, .* of NARs, 1 problem$/m);
    expect(out).toMatch(/^removed 1 broken path, 1 that need them, and 0 files of no path/m);
  });
});

test("gc takes what is old, and Nix can fetch all that is left", async () => {
  const cache = await copyOf("zstd");
  await makeOld(cache, 30);
  const now = new Date();
  await utimes(path.join(cache, narinfoOf(paths.app)), now, now);
  const home = temporaryFolder();
  const config = path.join(home, "config.toml");
  await writeFile(config, `[static.disk]\npath = "${cache}"\nolder-than = "2w"\nkeep = ["lone"]\n`);
  const before = await readdir(cache);
  const dry = await runHere(["gc", "disk", "--config", config, "--dry-run"], { home });
  expect(dry).toMatchObject({ code: 0, err: "" });
  expect(dry.out).toMatch(/^would remove .*-tool \(.*, 30 d, old\)$/m);
  expect(await readdir(cache)).toEqual(before);
  const real = await runHere(["gc", "disk", "--config", config], { home });
  expect(real.out).toMatch(
    /: 1 path removed \(.*\), 3 paths kept \(.*\): 1 pinned, 1 young, 1 needed by these$/m,
  );
  expect(await fetchedFrom(`file://${cache}`, cache)).toEqual(["app", "lib", "lone"]);
  const unpinned = await runHere(["gc", cache, "--older-than", "14d", "--keep", "nothing-*"], { home });
  expect(unpinned).toMatchObject({
    code: 0,
    err: expect.stringContaining("fits what is to be kept: nothing-*") as string,
  });
  expect(await fetchedFrom(`file://${cache}`, cache)).toEqual(["app", "lib"]);
});

describe("a push beside a gc", () => {
  /** All but the tool is in the cache, and old. */
  async function withoutTool(): Promise<string> {
    const cache = await copyOf("zstd");
    await makeOld(cache, 30);
    await rm(await narOf(cache, paths.tool));
    await rm(path.join(cache, narinfoOf(paths.tool)));
    return cache;
  }

  function pushTool(cache: string, told: Partial<PushRequest>): Promise<PushReport> {
    const target = resolveTarget(cache, configSchema.parse({}), "/");
    const deps = { env: source.env, log: silentLog, locate: async () => [] };
    return pushPaths({ target, paths: [paths.tool], signal, ...told }, deps);
  }

  async function expectWhole(cache: string): Promise<void> {
    expect(await brokenNarinfos(cache)).toEqual([]);
    expect(await fetchedFrom(`file://${cache}`, cache)).toEqual(
      expect.arrayContaining(["app", "lib", "tool"]),
    );
    expect((await readdir(cache)).filter((name) => name.startsWith(".nix-tether"))).toEqual([]);
  }

  test("that has begun waits for its end, and sends again what it took", async () => {
    const cache = await withoutTool();
    const folder = createLocalFolder(cache);
    const activity = await beginCollection(folder, { signal, waitMs: 0, onWait: () => undefined });
    let tell = (_text: string): void => undefined;
    const notice = new Promise<string>((resolve) => (tell = resolve));
    const pushed = pushTool(cache, { onNotice: (text) => tell(text) });
    expect(await notice).toMatch(/waits for the end of gc by /);
    const { plan } = await collect(folder, {
      olderThanMs: 14 * 86_400_000,
      maxBytes: null,
      pins: [],
      enter: async () => activity,
      signal,
      now: Date.now,
      onProgress: () => undefined,
    });
    expect(plan.gone.size).toBe(3);
    expect(await pushed).toMatchObject({ paths: 3, alreadyThere: 0 });
    await expectWhole(cache);
  });

  test("that has begun is waited for, and what it found stays", async () => {
    const cache = await withoutTool();
    const isMarked = (): boolean => readdirSync(cache).some((name) => name.startsWith(pushMarkPrefix));
    let tell = (): void => undefined;
    const begun = new Promise<void>((resolve) => (tell = resolve));
    const pushed = pushTool(cache, { onProgress: () => (isMarked() ? tell() : undefined) });
    await begun;
    const collected = await program("gc", cache, "--older-than", "14d", "--wait", "30s");
    expect(collected).toMatchObject({ code: 0, out: expect.stringContaining("1 path removed") as string });
    expect(await pushed).toMatchObject({ paths: 1, alreadyThere: 2 });
    await expectWhole(cache);
    expect(await readdir(cache)).not.toContain(narinfoOf(paths.lone));
  });
});

test("bad input changes nothing", async () => {
  const cache = await copyOf();
  const bare = temporaryFolder();
  await mkdir(path.join(bare, "nar"));
  await writeFile(path.join(bare, "nar/thesis.nar"), "");
  const before = await run("find", [cache, bare, "-printf", "%p %s %T@\n"]);
  const wrong: [args: string[], says: RegExp, code: number][] = [
    [["gc", cache], /nothing says what is to go/, 2],
    [["gc", cache, "--older-than", "soon"], /--older-than "soon" is not understood/, 2],
    [["gc", cache, "--older-than", "1s", "--keep", "a/b"], /names nothing that could be kept/, 2],
    [["gc", bare, "--older-than", "1s"], /is no static binary cache/, 1],
    [["fsck", bare, "--repair"], /is no static binary cache/, 1],
    [["fsck", cache, "--full", "--public-key", "x"], /is no public key/, 2],
    [["gc", "nowhere", "--older-than", "1s"], /there is no static cache named "nowhere"/, 2],
    [["serve", bare], /is no static binary cache/, 1],
    [["serve", cache, "--listen", "here:now"], /is nothing to listen on/, 2],
  ];
  for (const [args, says, code] of wrong) {
    const result = await program(...args);
    expect(result, args.join(" ")).toMatchObject({ code, out: "" });
    expect(result.err).toMatch(says);
  }
  expect((await run("find", [cache, bare, "-printf", "%p %s %T@\n"])).stdout).toBe(before.stdout);
});

describe("serve", () => {
  async function serve(cache: string): Promise<{ port: number; child: ChildProcess }> {
    const child = spawn(process.execPath, [mainFile, "serve", cache, "--listen", "127.0.0.1:0"], {
      env: { PATH: process.env["PATH"], HOME: temporaryFolder() },
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(() => void child.kill("SIGKILL"));
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    return { port: Number(/port (\d+)/.exec(line.toString())?.[1]), child };
  }

  test("Nix fetches from it, a download that was cut goes on, and it ends when told to", async () => {
    const cache = await copyOf();
    const { port, child } = await serve(cache);
    const url = `http://127.0.0.1:${port}`;
    expect(await fetchedFrom(url, cache)).toEqual(["app", "lib", "lone", "tool"]);

    const nar = await narOf(cache, paths.lib);
    const narUrl = `${url}/nar/${path.basename(nar)}`;
    const part = path.join(temporaryFolder(), "part");
    await writeFile(part, (await readFile(nar)).subarray(0, 50));
    await run("curl", ["--silent", "--fail", "--continue-at", "-", "--output", part, narUrl]);
    expect(await readFile(part)).toEqual(await readFile(nar));

    await writeFile(path.join(path.dirname(cache), "secret.nar"), "secret");
    await symlink("../../secret.nar", path.join(cache, "nar/secret.nar"));
    for (const name of [
      "../secret.nar",
      "nar/../../secret.nar",
      "nar/%2e%2e/%2e%2e/secret.nar",
      "nar/secret.nar",
    ]) {
      const args = ["--silent", "--path-as-is", "--write-out", "%{http_code}", `${url}/${name}`];
      expect((await run("curl", args)).stdout).toBe("not here\n404");
    }
    const closed = once(child, "close");
    child.kill("SIGTERM");
    expect(await closed).toEqual([0, null]);
  });
});
