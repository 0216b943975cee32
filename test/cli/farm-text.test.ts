import { expect, test } from "vitest";
import { farmReportText, farmTable } from "../../src/cli/farm-text.js";
import { resultOf, type BuildReport, type FarmReport } from "../../src/farm/report.js";
import { keepsFromGit } from "../../src/farm/publish.js";

const good: BuildReport = {
  attribute: "packages.x86_64-linux.good",
  ok: true,
  ms: 61_000,
  paths: ["/nix/store/kxx7b7d4fr8hbxkps0w1203081w9j42m-good"],
  lastGood: null,
  built: 2,
  fetched: 30,
  failures: [],
};
const bad: BuildReport = {
  ...good,
  attribute: "packages.x86_64-linux.bad",
  ok: false,
  paths: [],
  lastGood: "/nix/store/l9s6zgc6jxx7yqhva0dljr45iakmqdn0-bad",
  failures: [{ derivation: null, text: "it \u001b[31mfailed", log: ["one", "two\u0007"] }],
};
const pushed = {
  target: "disk",
  state: "pushed",
  paths: 2,
  alreadyThere: 7,
  bytes: 2048,
  unsigned: 0,
  ms: 3000,
  error: null,
} as const;

const report: FarmReport = {
  version: 1,
  farm: "home",
  result: "ok",
  startedAt: "2026-11-22T04:00:00.000Z",
  ms: 125_000,
  repository: "/srv/conf",
  branch: "main",
  commit: "524f56631988ffffffff",
  kept: null,
  lock: {
    changes: [
      {
        input: "nixpkgs",
        from: { url: "github:NixOS/nixpkgs/aaa", rev: "79fd13c70e31ffff", date: Date.parse("2026-11-01") },
        to: { url: "github:NixOS/nixpkgs/bbb", rev: "218095efcc9fffff", date: Date.parse("2026-11-21") },
      },
    ],
    commit: "8c0210a03c37ffff",
  },
  builds: [good],
  signed: null,
  pushes: [pushed],
  git: { state: "pushed", reason: "to main", rebased: false, commit: null },
  error: null,
};

test("a run in which all is well", () => {
  expect(farmReportText(report)).toBe(`\
home: all is well, 1 of 1 build good, after 2 min (begun 2026-11-22T04:00:00.000Z)
Repository: /srv/conf, main at 524f56631988
Inputs:
  nixpkgs: 79fd13c70e31 (2026-11-01) → 218095efcc9f (2026-11-21)
Builds:
  good    packages.x86_64-linux.good, 1 min, 2 built, 30 fetched
    /nix/store/kxx7b7d4fr8hbxkps0w1203081w9j42m-good
Pushed:
  disk: 2 paths (2.0 KiB) in 3 s, 7 were there
Git: the new flake.lock is commit 8c0210a03c37, pushed to main
`);
});

test("what has failed is told with the log's end, what was kept, and why git was not pushed", () => {
  const text = farmReportText({
    ...report,
    result: "builds-failed",
    builds: [good, bad],
    pushes: [{ ...pushed, state: "failed", error: "no route" }],
    git: { state: "not-pushed", reason: "1 of 2 builds failed", rebased: false, commit: null },
    kept: { commit: "0123456789abcdef", ref: "refs/nix-tether/unpushed/x" },
  });
  expect(text).toContain(`\
  FAILED  packages.x86_64-linux.bad, 1 min, 2 built, 30 fetched
    the last good one is kept: /nix/store/l9s6zgc6jxx7yqhva0dljr45iakmqdn0-bad
    it failed
      > one
      > two
`);
  expect(text).toContain("  disk: FAILED: no route\n");
  expect(text).toContain("commit 8c0210a03c37, not pushed: 1 of 2 builds failed\n");
  expect(text).toContain("  An earlier run's commit 0123456789ab was never pushed; it is kept as refs/");
});

test("a run that did not come far", () => {
  const none = { branch: null, commit: null, lock: null, builds: [], pushes: [], git: null };
  const error = { code: "farm-repository", message: "/srv/conf: it does not answer", remedy: "Look." };
  expect(farmReportText({ ...report, ...none, result: "failed", error })).toBe(`\
home: failed, after 2 min (begun 2026-11-22T04:00:00.000Z)
  /srv/conf: it does not answer
  Look.
`);
});

test("all farms in a table", () => {
  const now = Date.parse("2026-11-22T06:00:00.000Z");
  const running = { pid: 42, since: now - 5_000, startTime: "1" };
  const states = [
    { name: "home", running: null, last: report, next: "Mon 2026-11-23 04:00:00 UTC" },
    { name: "tools", running, last: null, next: null },
  ];
  expect(farmTable(states, now)).toBe(`\
FARM   LAST RUN  RESULT                          NEXT RUN
home   2 h ago   all is well, 1 of 1 build good  Mon 2026-11-23 04:00:00 UTC
tools  never     runs for 5 s (process 42)       -
`);
});

test("a commit that was put on top of others is named as it was pushed", () => {
  const git = { state: "pushed", reason: "to main", rebased: true, commit: "cafe0123456789ab" } as const;
  expect(farmReportText({ ...report, git })).toContain("commit cafe01234567, pushed to main\n");
});

test("a run's result is that of its first step that went wrong", () => {
  const failed = { state: "failed", reason: "", rebased: false, commit: null } as const;
  const error = { code: "farm-unsigned", message: "", remedy: null };
  expect(resultOf(report)).toBe("ok");
  expect(resultOf({ ...report, builds: [good, bad], git: failed })).toBe("builds-failed");
  expect(resultOf({ ...report, git: failed })).toBe("push-failed");
  expect(resultOf({ ...report, pushes: [{ ...pushed, state: "skipped" }] })).toBe("push-failed");
  expect(resultOf({ ...report, pushes: [{ ...pushed, state: "queued" }] })).toBe("ok");
  expect(resultOf({ ...report, pushes: [], error })).toBe("push-failed");
});

test("git is pushed when all is in the caches, or as the rule says", () => {
  const failed = { ...report, builds: [good, bad] };
  const away = { ...report, pushes: [{ ...pushed, state: "failed" as const }] };
  expect(keepsFromGit("on-success", report)).toBeNull();
  expect(keepsFromGit("on-success", failed)).toBe("1 of 2 builds failed");
  expect(keepsFromGit("on-success", away)).toBe("not everything is in disk");
  expect(keepsFromGit("always", { ...failed, ...away })).toBeNull();
  expect(keepsFromGit("never", report)).toBe("git-push is never");
});
