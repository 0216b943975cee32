// The watcher on a folder that looks like a store; only what Nix knows of the paths is made up.

import { mkdirSync, readFileSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import type { Addition } from "../../src/uploads/entry.js";
import type { LocalInfo } from "../../src/nix/path-infos.js";
import { watchStore } from "../../src/uploads/store-watch.js";
import type { TetherError } from "../../src/util/errors.js";
import { eventually } from "../support/eventually.js";
import { silentLog } from "../support/silent-log.js";
import { storePath } from "../support/store-paths.js";
import { temporaryFolder } from "../support/temp-folder.js";

const drv = storePath("x.drv");

let folder = "";
let markFile = "";
let known: Map<string, LocalInfo>;
let built: Addition[];
let asked: string[];
let problem: TetherError | null;
let failing: Error | null;

beforeEach(() => {
  const dir = temporaryFolder();
  folder = path.join(dir, "store");
  markFile = path.join(dir, "mark.json");
  mkdirSync(folder);
  known = new Map();
  built = [];
  asked = [];
  problem = null;
  failing = null;
});

const start = (everyMs = 60_000): { close(): Promise<void> } => {
  const watch = watchStore({
    folder,
    markFile,
    infos: async (paths) => {
      if (failing !== null) throw failing;
      asked.push(...paths);
      return new Map(
        paths.flatMap((one): [string, LocalInfo][] => {
          const info = known.get(one);
          return info === undefined ? [] : [[one, info]];
        }),
      );
    },
    onBuilt: async (additions) => void built.push(...additions),
    warn: (_, error) => (problem = error),
    log: silentLog,
    everyMs,
  });
  onTestFinished(() => watch.close());
  return watch;
};
const file = (one: string): string => path.join(folder, path.basename(one));
const info = (changes: Partial<LocalInfo>): LocalInfo => ({
  size: 1,
  references: [],
  ultimate: true,
  deriver: drv,
  registeredAt: Math.floor(Date.now() / 1000) * 1000,
  signatures: [],
  contentAddressed: false,
  ...changes,
});
/** What Nix does: lock, files, registration, and the lock goes. */
const make = (name: string, changes: Partial<LocalInfo> = {}): string => {
  const one = storePath(name);
  const lock = `${file(one)}.lock`;
  writeFileSync(lock, "");
  writeFileSync(file(one), name);
  known.set(one, info(changes));
  unlinkSync(lock);
  return one;
};
const noticed = (): string[] => built.map((addition) => addition.path);
/** When the folder has been looked through once. */
const running = (): Promise<void> => eventually("a mark is there", () => readMark() !== null);
const readMark = (): number | null => {
  try {
    return (JSON.parse(readFileSync(markFile, "utf8")) as { until: number }).until;
  } catch {
    return null;
  }
};

test("what was built here is noticed with its deriver, and nothing else", async () => {
  start();
  await running();
  const paths = [make("a"), make("b")];
  make("fetched", { ultimate: false });
  make("recipe.drv");
  make("old", { registeredAt: Date.now() - 3_600_000 });
  writeFileSync(`${file(storePath("failed"))}.lock`, "");
  unlinkSync(`${file(storePath("failed"))}.lock`);
  await eventually("both are noticed", () => built.length === 2);
  expect(built.toSorted((x, y) => x.path.localeCompare(y.path))).toEqual(
    paths.toSorted().map((one) => ({ path: one, deriver: drv, since: known.get(one)?.registeredAt })),
  );
  expect(asked).not.toContain(storePath("recipe.drv"));
  expect(asked).toContain(storePath("failed"));
  expect(problem).toBeNull();
});

test("it is told once, however often its lock comes and goes, and once more when it is built again", async () => {
  start();
  await running();
  const one = make("a");
  await eventually("it is noticed", () => built.length === 1);
  for (let times = 0; times < 2; times += 1) {
    asked = [];
    writeFileSync(`${file(one)}.lock`, "");
    unlinkSync(`${file(one)}.lock`);
    await eventually("its lock is seen", () => asked.includes(one));
  }
  expect(built).toHaveLength(1);
  make("a", { registeredAt: Date.now() + 60_000 });
  await eventually("it is noticed again", () => built.length === 2);
});

test(
  "what the kernel drops in a flood is found by looking through the folder",
  { timeout: 60_000 },
  async () => {
    const most = Number(readFileSync("/proc/sys/fs/inotify/max_queued_events", "utf8"));
    start(500);
    await running();
    // Nobody reads events meanwhile, so that there is no room left for those of what is built.
    for (let n = 0; n < most / 2; n += 1) {
      writeFileSync(path.join(folder, "tmp-1-1"), "");
      unlinkSync(path.join(folder, "tmp-1-1"));
    }
    const paths = Array.from({ length: 100 }, (_, n) => make(`flood-${n}`));
    await eventually("all are noticed", () => built.length >= paths.length, 40_000);
    expect(noticed().toSorted()).toEqual(paths.toSorted());
  },
);

test("what was built while nobody watched is noticed afterwards, and nothing that was before", async () => {
  const before = make("before", { registeredAt: Date.now() - 10_000 });
  const first = start();
  await running();
  expect(built).toEqual([]);
  await first.close();
  const meanwhile = make("meanwhile");
  make("fetched", { ultimate: false });
  start();
  await eventually("it is noticed", () => built.length === 1);
  expect(noticed()).toEqual([meanwhile]);
  // Both were changed within an hour, and Nix knows which is new.
  expect(asked).toContain(before);
});

test("a mark that can not be read means from now on", async () => {
  writeFileSync(markFile, "{");
  make("before", { registeredAt: Date.now() - 10_000 });
  start();
  await eventually("the mark is written anew", () => readMark() !== null);
  expect(built).toEqual([]);
});

test("what takes long from its files to its registration is waited for", async () => {
  start(300);
  await running();
  const one = storePath("large");
  const lock = `${file(one)}.lock`;
  writeFileSync(lock, "");
  writeFileSync(file(one), "large");
  await eventually("Nix does not know it yet", () => asked.includes(one));
  known.set(one, info({}));
  rmSync(lock);
  await eventually("it is noticed", () => built.length === 1);
});

test("a folder that does not change is not looked through", async () => {
  make("a", { ultimate: false });
  start(20);
  await running();
  await eventually("the folder is known", () => asked.length === 1);
  const mark = readMark();
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect([asked.length, readMark()]).toEqual([1, mark]);
  make("b");
  await eventually("it is looked through again", () => readMark() !== mark);
});

test("a store that is not there is told of until it is", async () => {
  rmSync(folder, { recursive: true });
  start(100);
  await eventually("it is told", () => problem !== null);
  expect(problem).toMatchObject({
    code: "builds-unseen",
    message: expect.stringContaining("ENOENT") as string,
  });
  expect(problem?.remedy).toContain("hook-script");
  mkdirSync(folder);
  await eventually("all is well", () => problem === null);
  const one = make("a");
  await eventually("it is noticed", () => built.length === 1);
  expect(noticed()).toEqual([one]);
});

test("what Nix could not be asked about is asked about again", async () => {
  start(300);
  await running();
  failing = new Error("nix is not to be had");
  const one = make("a");
  await eventually("it is told", () => problem !== null);
  expect(problem?.message).toContain("nix is not to be had");
  failing = null;
  await eventually("it is noticed", () => built.length === 1);
  expect(noticed()).toEqual([one]);
  await eventually("all is well", () => problem === null);
});
