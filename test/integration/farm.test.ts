// A farm from end to end, with real git and real Nix: what it updates, builds, keeps and pushes, and what is left when
// something is in the way.

import { readFile, readlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { ControlRequest } from "../../src/control/messages.js";
import { serveControl } from "../../src/control/server.js";
import { compileProgram, type Program } from "../support/compile.js";
import { eventually } from "../support/eventually.js";
import { makeFarmYard, type FarmYard } from "../support/farm-yard.js";
import { makePrivateNix, type NixVersion, type PrivateNix } from "../support/private-nix.js";
import { silentLog } from "../support/silent-log.js";
import { statusReport } from "../support/status-report.js";

const good = "packages.x86_64-linux.good";
const bad = "packages.x86_64-linux.bad";

let program: Program;
const stores = new Map<NixVersion, PrivateNix>();

beforeAll(async () => {
  program = await compileProgram("src/main.ts");
  for (const version of ["2.8", "2.34"] as const)
    stores.set(version, await makePrivateNix(version, () => ""));
});

afterAll(async () => {
  for (const store of stores.values()) await store.dispose();
  await program?.remove();
});

let yards = 0;

function yard(version: NixVersion = "2.8"): Promise<FarmYard> {
  const store = stores.get(version);
  if (store === undefined) throw new Error(`no Nix ${version}`);
  return makeFarmYard(store, program.file, `yard-${(yards += 1)}`);
}

const head = async ({ sh }: FarmYard): Promise<string> => (await sh("git -C repo.git rev-parse main")).trim();

describe.each<NixVersion>(["2.8", "2.34"])("with Nix %s", (version) => {
  test("the lock is updated, committed and pushed when all is built, and the report says what is new", async () => {
    const here = await yard(version);
    const first = await here.run();
    expect(first).toMatchObject({ code: 0, report: { result: "ok", git: { state: "pushed" } } });
    expect(first.report.lock?.changes.map(({ input, from }) => [input, from])).toEqual([
      ["dep", null],
      ["other", null],
    ]);

    await here.input("two");
    await here.sh("git -C other commit -q --allow-empty -m more");
    await here.configure('update-inputs = ["dep"]\nauthor = "Farm <farm@example.org>"');
    const second = await here.run();
    const rev = (await here.sh("git -C dep rev-parse HEAD")).trim();
    expect(second.report).toMatchObject({
      result: "ok",
      branch: "main",
      lock: { changes: [{ input: "dep", to: { rev } }], commit: await head(here) },
      builds: [{ attribute: good, ok: true, built: 1, failures: [] }],
    });
    const message = await here.sh("git -C repo.git log -1 --format='%an <%ae>%n%B' main");
    expect(message).toMatch(/^Farm <farm@example.org>\nflake.lock: Update\n\n[^]*• Updated input 'dep':/);
    const [path = ""] = second.report.builds[0]?.paths ?? [];
    expect(await here.sh(`cat ${path}`)).toBe("two one\n");
    expect(await here.sh(`readlink -f ${here.state}/good/${good}`)).toBe(`${path}\n`);

    const before = await head(here);
    const third = await here.run();
    expect(third.report).toMatchObject({ result: "ok", lock: { changes: [], commit: null }, git: null });
    expect(third.report.builds).toMatchObject([{ built: 0, paths: [path] }]);
    expect(await head(here)).toBe(before);
    expect(JSON.parse(await readFile(join(here.state, "last-report.json"), "utf8"))).toEqual(third.report);
  });

  test("one that fails keeps the others from nothing, but the commit from being pushed", async () => {
    const here = await yard(version);
    await here.configure("keep = 1", [bad, good]);
    const first = await here.run();
    const [kept = ""] = first.report.builds[0]?.paths ?? [];
    const before = await head(here);

    await here.input("bad");
    const second = await here.run();
    expect(second).toMatchObject({ code: 6, report: { result: "builds-failed", pushes: [] } });
    expect(second.report.builds).toMatchObject([
      { attribute: bad, ok: false, paths: [], lastGood: kept },
      { attribute: good, ok: true, built: 1 },
    ]);
    expect(second.report.builds[0]?.failures[0]).toMatchObject({
      text: expect.stringContaining("exit code 3") as string,
      log: ["building bad", "it is bad"],
    });
    expect(second.report.git).toMatchObject({ state: "not-pushed", reason: "1 of 2 builds failed" });
    expect(await head(here)).toBe(before);
    const status = await here.tether("farm status home");
    expect(status.code).toBe(6);
    expect(status.stdout).toContain("      > it is bad\n");

    await here.sh("nix-store --gc --quiet 2>&1");
    expect(await here.sh(`cat ${kept}`)).toBe("one\n");
    const [newest = ""] = second.report.builds[1]?.paths ?? [];
    expect(await here.sh(`cat ${newest}`)).toBe("bad one\n");
    expect(await here.sh(`[ -e ${first.report.builds[1]?.paths[0]} ] || echo gone`)).toBe("gone\n");

    await here.input("three");
    const third = await here.run();
    expect(third.report).toMatchObject({ result: "ok", kept: { commit: second.report.lock?.commit } });
    expect((await here.sh("git -C repo.git rev-list --count main")).trim()).toBe("3");
    expect(await here.sh(`git -C ${here.state}/checkout rev-parse ${third.report.kept?.ref}`)).toBe(
      `${second.report.lock?.commit}\n`,
    );
  });
});

describe("git", () => {
  test("what others have pushed meanwhile stays below the commit", async () => {
    const here = await yard();
    await here.duringBuild(`
      cd ${here.dir}/work; echo hello >README; git add README; git commit -qm readme; git push -q origin main`);
    const { code, report } = await here.run();
    const git = { state: "pushed", rebased: true, commit: await head(here) };
    expect({ code, git: report.git }).toMatchObject({ code: 0, git });
    expect(await here.sh("git -C repo.git log --format=%s main")).toBe("flake.lock: Update\nreadme\nbegin\n");
  });

  test("where both have changed the lock, nothing is pushed, and the next run makes it anew", async () => {
    const here = await yard();
    await here.duringBuild(`
      cd ${here.dir}/work; echo '{ "nodes": { "root": {} }, "root": "root", "version": 7 }' >flake.lock
      git add flake.lock; git commit -qm mine; git push -q origin main`);
    const { code, report } = await here.run();
    expect({ code, git: report.git }).toMatchObject({
      code: 7,
      git: { state: "failed", reason: "flake.lock was changed on main meanwhile, too" },
    });
    expect(await here.sh("git -C repo.git log --format=%s main")).toBe("mine\nbegin\n");
    await here.duringBuild("");
    expect(await here.run()).toMatchObject({ code: 0, report: { kept: { commit: report.lock?.commit } } });
  });

  test("a server that refuses the commit is no reason to build again, and is told", async () => {
    const here = await yard();
    const hook = join(here.dir, "repo.git/hooks/pre-receive");
    await writeFile(hook, "#!/bin/sh\necho 'not here' >&2\nexit 1\n", { mode: 0o755 });
    const { code, report } = await here.run();
    expect(code).toBe(7);
    expect(report).toMatchObject({ result: "push-failed", git: { state: "failed" } });
    expect(report.git?.reason).toContain("not here");
  });

  test.each([
    ['git-push = "never"', good, 0, 1, { state: "not-pushed", reason: "git-push is never" }],
    ['git-push = "always"', bad, 6, 2, { state: "pushed" }],
    ["commit-lock = false", good, 0, 1, null],
    ["update = false", good, 0, 1, null],
    ["nix-options.max-jobs = 0", good, 6, 1, { state: "not-pushed" }],
  ])("%s with %s", async (line, attribute, code, commits, git) => {
    const here = await yard();
    if (attribute === bad) await here.input("bad");
    await here.configure(line, [attribute]);
    const run = await here.run();
    expect(run.code).toBe(code);
    if (git === null) expect(run.report.git).toBeNull();
    else expect(run.report.git).toMatchObject(git);
    expect((await here.sh("git -C repo.git rev-list --count main")).trim()).toBe(String(commits));
  });
});

test("a repository that the caller's environment names is none of its business, nor of Nix's", async () => {
  const here = await yard();
  expect(await here.tether("farm run home --json", "GIT_DIR=/nowhere")).toMatchObject({ code: 0 });
});

describe("what was built", () => {
  test("is signed, and queued for a cache that uploads go to; without a daemon that one fails", async () => {
    const here = await yard();
    await here.sh("nix-store --generate-binary-cache-key farm-1 key pub");
    const more = `push-to = ["pi"]\nsigning-key = "${here.dir}/key"\n[caches.pi]\nhost = "pi.local"\n[uploads]\nto = ["pi"]`;
    await here.configure(more);
    const alone = await here.run();
    expect(alone).toMatchObject({ code: 7, report: { result: "push-failed", signed: 1 } });
    expect(alone.report.pushes).toMatchObject([
      { target: "pi", state: "failed", error: "no daemon is running" },
    ]);
    expect(alone.report.git).toMatchObject({ state: "not-pushed", reason: "not everything is in pi" });

    const asked: ControlRequest[] = [];
    const server = await serveControl({
      path: join(here.dir, "run/nix-tether/control.sock"),
      handle: async (request) => {
        asked.push(request);
        return { ok: true, status: statusReport({}), queue: [] };
      },
      log: silentLog,
    });
    onTestFinished(() => server.close());
    const { code, report } = await here.run();
    const paths = report.builds[0]?.paths ?? [];
    expect({ code, asked }).toEqual({ code: 0, asked: [{ command: "enqueue", paths }] });
    expect(report).toMatchObject({
      signed: 0,
      pushes: [{ state: "queued", paths: 1 }],
      git: { state: "pushed" },
    });
    const info = await here.sh(`nix --extra-experimental-features nix-command path-info --json ${paths[0]}`);
    expect(info).toContain('"farm-1:');
  });
});

test("a static cache gets it, signed, and another store takes it from there; one that is no cache fails alone", async () => {
  const here = await yard("2.34");
  await here.sh("nix-store --generate-binary-cache-key farm-1 key pub; mkdir nocache; touch nocache/file");
  const statics = `[static.disk]\npath = "${here.dir}/cache"\nsigning-key = "${here.dir}/key"\n[static.other]\npath = "${here.dir}/nocache"`;
  await here.configure(`push-to = ["other", "disk"]\n${statics}`);
  const first = await here.run();
  expect(first.code).toBe(7);
  expect(first.report.pushes).toMatchObject([
    { target: "other", state: "failed" },
    { target: "disk", state: "pushed", paths: 1, alreadyThere: 0, unsigned: 0 },
  ]);
  expect(await here.sh("ls nocache")).toBe("file\n");

  await here.configure(`push-to = ["disk"]\n${statics}`);
  const second = await here.run();
  expect(second).toMatchObject({
    code: 0,
    report: { pushes: [{ paths: 0, alreadyThere: 1 }], git: { state: "pushed" } },
  });
  const [path = ""] = second.report.builds[0]?.paths ?? [];
  await here.sh(`nix --extra-experimental-features nix-command copy --from file://${here.dir}/cache \
    --to ${here.dir}/elsewhere --option trusted-public-keys "$(cat pub)" ${path}`);
  expect(await here.sh(`cat elsewhere${path}`)).toBe("one one\n");

  await here.sh("rm key");
  expect(await here.tether("farm run home")).toMatchObject({ code: 2, stdout: "" });
});

describe("in the way", () => {
  test("a repository that is away, or has no such branch: the last good build is kept", async () => {
    const here = await yard();
    const first = await here.run();
    await here.sh("mv repo.git away.git; nix-store --gc --quiet 2>&1");
    const away = await here.run();
    expect(away).toMatchObject({
      code: 1,
      report: { result: "failed", commit: null, builds: [], error: { code: "farm-repository" } },
    });
    expect(await here.sh(`cat ${first.report.builds[0]?.paths[0]}`)).toBe("one one\n");
    await here.sh("mv away.git repo.git");
    await here.configure('branch = "release"');
    expect((await here.run()).report.error?.message).toContain("it has no branch release");
    await here.configure('directory = "machines"');
    expect((await here.run()).report.error?.code).toBe("farm-no-flake");
  });

  test("an input that can not be fetched", async () => {
    const here = await yard();
    await here.sh("mv dep gone");
    const { code, report } = await here.run();
    expect({ code, error: report.error?.code }).toEqual({ code: 1, error: "farm-update" });
    expect(report.builds).toEqual([]);
  });

  test("a checkout that git can make nothing of is put aside", async () => {
    const here = await yard();
    await here.run();
    await here.sh(`cd ${here.state}/checkout; rm -r .git; echo nonsense >.git`);
    expect(await here.run()).toMatchObject({ code: 0 });
    expect(await here.sh(`ls ${here.state}/checkout.broken`)).toContain("flake.nix");
  });

  test("a configuration that can not be: nothing is made", async () => {
    const here = await yard();
    await here.configure('push-to = ["nowhere"]');
    expect(await here.tether("farm run home")).toMatchObject({ code: 2, stdout: "" });
    await here.configure(`signing-key = "${here.dir}/during"`);
    expect((await here.tether("farm run home")).stderr).toContain("nothing can be signed with");
    await here.configure("");
    expect(await here.tether("farm run hmoe")).toMatchObject({
      code: 2,
      stderr: "nix-tether: there is no farm named hmoe, did you mean home?\nThe farms are: home\n",
    });
    expect(await here.sh("[ -e state ] || echo nothing")).toBe("nothing\n");
  });

  test("a build that takes too long, and one for which no time is left", async () => {
    const here = await yard();
    await here.duringBuild("sleep 30");
    await here.configure('build-timeout = "1s"\ntimeout = "1.5s"', [good, bad]);
    const { code, report } = await here.run();
    expect(code).toBe(6);
    const texts = report.builds.map(({ failures }) => failures[0]?.text);
    expect(texts[0]).toContain("it was not done in time");
    expect(texts[1]).toMatch(/it was not (begun|done)/);
  });
});

describe("one run at a time", () => {
  /** Starts a run whose build sleeps; resolves to its process, when it builds. */
  async function building(here: FarmYard): Promise<string> {
    await here.duringBuild(`echo $$ >${here.dir}/builder; exec sleep 60`);
    const main = `sh -c 'echo $$ >pid; exec ${process.execPath} ${program.file} farm run home --json'`;
    await here.sh(`(${main} >first 2>&1 </dev/null || echo $? >code) >/dev/null 2>&1 &`);
    await eventually(
      "it builds",
      async () => (await here.sh("cat builder 2>&1 || true")).match(/^\d+/) !== null,
      20_000,
    );
    return (await here.sh("cat pid")).trim();
  }

  test("another one says who it is; ended by a signal it leaves nothing but its report", async () => {
    const here = await yard();
    await here.run();
    const last = await readlink(join(here.state, "good", good));
    await here.input("two");
    const pid = await building(here);
    const other = await here.tether("farm run home");
    expect(other).toMatchObject({ code: 5, stdout: "" });
    expect(other.stderr).toMatch(new RegExp(`is being run already by process ${pid}, since 2`));
    expect((await here.tether("farm list")).stdout).toContain(`(process ${pid})`);

    const builder = (await here.sh("cat builder")).trim();
    await here.sh(`kill -TERM ${pid}`);
    await eventually("it ends", async () => (await here.sh("cat code 2>&1 || true")).startsWith("1"), 20_000);
    expect(await here.sh("cat code first")).toMatch(/^143\n[^]*"result": "cancelled"/);
    await eventually("its builder is gone", async () =>
      (await here.sh(`ls /proc/${builder} 2>&1 || true`)).includes("No such"),
    );
    expect(await readlink(join(here.state, "good", good))).toBe(last);
    await here.duringBuild("");
    expect(await here.run()).toMatchObject({ code: 0, report: { builds: [{ ok: true }] } });
  });

  test("killed outright, it holds no lock, and what git has left is no trouble", async () => {
    const here = await yard();
    const pid = await building(here);
    await here.sh(`kill -KILL ${pid} $(cat builder); touch ${here.state}/checkout/.git/index.lock`);
    expect((await here.tether("farm list")).stdout).toContain("never");
    await here.duringBuild("");
    expect(await here.run()).toMatchObject({ code: 0, report: { result: "ok" } });
  });
});
