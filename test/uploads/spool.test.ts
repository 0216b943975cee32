// The queue of uploads on a real file system; only the garbage collector's roots are links without Nix.

import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { entryFileName, type Entry, type TargetProgress } from "../../src/uploads/entry.js";
import { openSpool, type Spool } from "../../src/uploads/spool.js";
import type { SpoolTrouble } from "../../src/uploads/spool-troubles.js";
import { TetherError } from "../../src/util/errors.js";
import { eventually } from "../support/eventually.js";
import { createLinkRoots, type LinkRoots } from "../support/link-roots.js";
import { silentLog } from "../support/silent-log.js";
import { incomingText, leaveIncoming, storePath } from "../support/store-paths.js";
import { temporaryFolder } from "../support/temp-folder.js";

const [a, b, c] = [storePath("a"), storePath("b"), storePath("c")];
const failure = { code: "no-room", text: "no room", permanent: false, notBefore: 77 };
const forGood = { code: "untrusted", text: "untrusted", permanent: true };

let dir = "";
let roots: LinkRoots;
let troubles: Map<SpoolTrouble, TetherError | null>;

beforeEach(() => {
  dir = path.join(temporaryFolder(), "state", "spool");
  roots = createLinkRoots(path.join(dir, "roots"));
  troubles = new Map();
});

function open(targets: readonly string[] = ["pi"]): Promise<Spool> {
  const warn = (code: SpoolTrouble, problem: TetherError | null): void => void troubles.set(code, problem);
  return openSpool({ dir, log: silentLog, targets, roots, warn, now: () => 5_000 });
}

const paths = (entries: readonly Entry[]): string[] => entries.map((entry) => entry.path);
const progress = (spool: Spool, of: string): TargetProgress | undefined =>
  spool.list().find((entry) => entry.path === of)?.targets["pi"];
const ls = (folder: string): string[] => readdirSync(path.join(dir, folder)).toSorted();

describe("taking in", () => {
  test("what the hook has left, once, oldest first", async () => {
    const spool = await open();
    const drv = storePath("x.drv");
    leaveIncoming(dir, [b, c], drv);
    leaveIncoming(dir, [a]);
    leaveIncoming(dir, [b], drv);
    for (const name of ls("incoming")) {
      const isA = readFileSync(path.join(dir, "incoming", name), "utf8").includes(a);
      utimesSync(path.join(dir, "incoming", name), isA ? 1 : 2, isA ? 1 : 2);
    }
    expect(paths(await spool.takeIn()).toSorted()).toEqual([a, b, c].toSorted());
    expect(spool.list()[0]).toMatchObject({ path: a, deriver: null, since: 1_000 });
    expect(spool.list()[1]).toMatchObject({ deriver: drv, since: 2_000 });
    expect(ls("incoming")).toEqual([]);
    expect(ls("entries")).toEqual([a, b, c].map(entryFileName).toSorted());
    expect(await roots.held()).toEqual([a, b, c].toSorted());
    leaveIncoming(dir, [a]);
    expect(await spool.takeIn()).toEqual([]);
    expect(spool.counts()).toEqual({ waiting: 3, setAside: 0 });
  });

  test("in order, and listed without sorting it each time", async () => {
    const spool = await open();
    await spool.add([c, a, b]);
    const before = spool.list();
    expect(paths(before)).toEqual([a, b, c].toSorted());
    expect(spool.list()).toBe(before);
    expect((await open()).list()).toEqual(before);
    await spool.failed("pi", [a], { code: "copy-failed", text: "no", permanent: false });
    expect(spool.list().find((entry) => entry.path === a)?.targets["pi"]?.tries).toBe(1);
    await spool.drop([b]);
    expect(paths(spool.list())).toEqual([a, c].toSorted());
  });

  test("is for nobody else to read", async () => {
    const spool = await open();
    await spool.add([a]);
    for (const name of ["", "incoming", "entries", "roots", "aside"]) {
      expect(statSync(path.join(dir, name)).mode & 0o777, name).toBe(0o700);
    }
    expect(statSync(path.join(dir, "entries", entryFileName(a))).mode & 0o777).toBe(0o600);
  });

  test("keeps what it can not use aside, and takes the rest", async () => {
    const spool = await open();
    const old = Date.now() / 1000 - 120;
    leaveIncoming(dir, [a]);
    const at = (name: string): string => path.join(dir, "incoming", name);
    writeFileSync(at("torn"), incomingText([b]).slice(0, 60));
    writeFileSync(at("zeros"), "\0".repeat(100));
    for (const name of ["torn", "zeros"]) utimesSync(at(name), old, old);
    writeFileSync(at("latin"), Buffer.from([0xe9, 0xe8]));
    writeFileSync(at("huge"), Buffer.alloc(2 << 20));
    mkdirSync(at("folder"));
    writeFileSync(path.join(dir, "elsewhere"), incomingText([c]));
    symlinkSync(path.join(dir, "elsewhere"), at("link"));
    expect(paths(await spool.takeIn())).toEqual([a]);
    expect(ls("incoming")).toEqual([]);
    const aside = ls("aside").map((name) => name.split(".")[0]);
    expect(aside).toEqual(["folder", "huge", "latin", "link", "torn", "zeros"]);
  });

  test("leaves to the hook what it is still writing", async () => {
    const spool = await open();
    const file = path.join(dir, "incoming", "x");
    const text = incomingText([a]);
    writeFileSync(file, text.slice(0, -2));
    expect(await spool.takeIn()).toEqual([]);
    expect(ls("incoming")).toEqual(["x"]);
    writeFileSync(file, text);
    expect(paths(await spool.takeIn())).toEqual([a]);
  });

  test("of more than fits in one go", async () => {
    const spool = await open();
    const many = Array.from({ length: 505 }, (_, n) => storePath(`many-${n}`));
    for (const one of many) leaveIncoming(dir, [one]);
    writeFileSync(path.join(dir, "incoming", "broken"), "?\nend\n");
    expect(paths(await spool.takeIn()).toSorted()).toEqual(many.toSorted());
    expect(ls("incoming")).toEqual([]);
  });

  test("makes the folders anew when they are gone", async () => {
    const spool = await open();
    rmSync(dir, { recursive: true });
    expect(await spool.takeIn()).toEqual([]);
    leaveIncoming(dir, [a]);
    expect(paths(await spool.takeIn())).toEqual([a]);
  });

  test("without a target leaves everything where it is", async () => {
    const spool = await open([]);
    leaveIncoming(dir, [a]);
    expect(await spool.takeIn()).toEqual([]);
    await expect(spool.add([a])).rejects.toMatchObject({ code: "no-targets" });
    expect(ls("incoming")).toHaveLength(1);
    expect(paths(await (await open()).takeIn())).toEqual([a]);
  });
});

describe("queuing by hand", () => {
  test("folds duplicates", async () => {
    const spool = await open(["pi", "nas"]);
    const [entry] = await spool.add([a, a], storePath("a.drv"));
    expect(entry).toMatchObject({ path: a, deriver: storePath("a.drv"), since: 5_000 });
    expect(Object.keys(entry?.targets ?? {})).toEqual(["pi", "nas"]);
    expect(paths(await spool.add([b, a]))).toEqual([b, a]);
    expect(spool.counts()).toEqual({ waiting: 2, setAside: 0 });
  });

  test("takes all or nothing", async () => {
    const spool = await open();
    await expect(spool.add([a, "/etc/passwd"])).rejects.toMatchObject({ code: "not-uploadable" });
    await expect(spool.add([storePath("a.drv")])).rejects.toMatchObject({ code: "not-uploadable" });
    expect(spool.list()).toEqual([]);
  });
});

describe("uploading", () => {
  test("a path is held until it has arrived everywhere", async () => {
    const spool = await open(["pi", "nas"]);
    await spool.add([a, b]);
    await spool.arrived("pi", [a, b, c]);
    expect(spool.list().map((entry) => Object.keys(entry.targets))).toEqual([["nas"], ["nas"]]);
    expect(spool.counts("pi")).toEqual({ waiting: 0, setAside: 0 });
    await spool.arrived("nas", [a]);
    expect(paths(spool.list())).toEqual([b]);
    expect(await roots.held()).toEqual([b]);
    expect(ls("entries")).toEqual([entryFileName(b)]);
    expect((await open(["pi", "nas"])).list()).toEqual(spool.list());
  });

  test("failures are remembered, and set aside until somebody asks", async () => {
    const spool = await open(["pi", "nas"]);
    await spool.add([a, b]);
    await spool.failed("pi", [a, b], failure);
    await spool.failed("pi", [b], forGood);
    await spool.failed("nas", [b], forGood);
    for (const one of [spool, await open(["pi", "nas"])]) {
      expect(progress(one, a)).toMatchObject({ state: "waiting", tries: 1, notBefore: 77 });
      expect(progress(one, b)).toMatchObject({ state: "set-aside", tries: 2, code: "untrusted" });
      expect(one.counts()).toEqual({ waiting: 1, setAside: 1 });
      expect(one.counts("pi")).toEqual({ waiting: 1, setAside: 1 });
    }
    expect(await spool.retry([b, c])).toBe(1);
    expect(spool.counts()).toEqual({ waiting: 2, setAside: 0 });
    expect(progress(spool, a)?.notBefore).toBe(77);
    expect(await spool.retry("all")).toBe(2);
    expect(progress(await open(), a)).toMatchObject({ tries: 0, notBefore: null });
  });

  test("what is dropped is forgotten", async () => {
    const spool = await open();
    await spool.add([a, b, c]);
    expect(await spool.drop([a, storePath("unknown")])).toBe(1);
    expect(await roots.held()).toEqual([b, c].toSorted());
    expect(await spool.drop("all")).toBe(2);
    expect(spool.list()).toEqual([]);
    expect(ls("entries")).toEqual([]);
    expect(await roots.held()).toEqual([]);
  });

  test("a target that is not uploaded to any more keeps what waits for it", async () => {
    await (await open(["pi", "nas"])).add([a]);
    const spool = await open(["pi"]);
    await spool.arrived("pi", [a]);
    expect(spool.list()[0]?.targets).toHaveProperty("nas");
  });
});

describe("roots", () => {
  test("a path that is gone is set aside, and asked for no more until it is back", async () => {
    const spool = await open();
    roots.invalid.add(a);
    const [gone, there] = await spool.add([a, b]);
    expect(gone?.targets["pi"]).toMatchObject({ state: "set-aside", code: "path-gone", tries: 1 });
    expect(there?.targets["pi"]?.state).toBe("waiting");
    roots.asked.length = 0;
    await spool.takeIn();
    expect(roots.asked).toEqual([]);
    expect(await spool.retry([a])).toBe(1);
    expect(progress(spool, a)?.state).toBe("set-aside");
    roots.invalid.delete(a);
    leaveIncoming(dir, [a]);
    await spool.takeIn();
    expect(spool.counts()).toEqual({ waiting: 2, setAside: 0 });
    expect(await roots.held()).toEqual([a, b].toSorted());
  });

  test("a path that has left the store is set aside everywhere, and one that is back waits as before", async () => {
    const spool = await open(["pi", "nas"]);
    await spool.add([a, b]);
    await spool.failed("pi", [b], forGood);
    roots.invalid.add(a);
    expect(await spool.gone([a, b])).toEqual([a]);
    for (const one of [spool, await open(["pi", "nas"])]) {
      const [gone, back] = [a, b].map((of) => one.list().find((entry) => entry.path === of)?.targets);
      expect(gone).toMatchObject({ pi: { code: "path-gone" }, nas: { code: "path-gone" } });
      expect(back?.["nas"]).toMatchObject({ state: "waiting", code: null });
    }
    expect(await roots.held()).toContain(b);
  });

  test("a path that is built again before it is set aside waits", async () => {
    const spool = await open();
    roots.invalid.add(a);
    const { hold } = roots;
    roots.hold = async (held) => {
      const gone = await hold(held);
      roots.invalid.clear();
      return gone;
    };
    const [entry] = await spool.add([a]);
    expect(entry?.targets["pi"]).toMatchObject({ state: "waiting", code: null });
    expect(await roots.held()).toEqual([a]);
  });

  test("what can not be held is queued all the same, and tried again", async () => {
    const spool = await open();
    roots.failure = new TetherError("nix-missing", "no nix-store");
    expect(await spool.add([a])).toHaveLength(1);
    expect(troubles.get("upload-unprotected")?.code).toBe("nix-missing");
    roots.failure = null;
    await spool.takeIn();
    expect(troubles.get("upload-unprotected")).toBeNull();
    expect(await roots.held()).toEqual([a]);
  });

  test("are asked for once", async () => {
    const spool = await open();
    await spool.add([a]);
    await spool.takeIn();
    await spool.add([a, b]);
    expect(roots.asked).toEqual([[a], [b]]);
  });

  test("are put right at the start", async () => {
    await (await open()).add([a]);
    await roots.release([a]);
    await roots.hold([b]);
    leaveIncoming(dir, [c]);
    await roots.hold([c]);
    const spool = await open();
    const watch = spool.watch(() => undefined);
    await eventually(
      "a and c held, b not",
      async () => (await roots.held()).join() === [a, c].toSorted().join(),
    );
    await watch.close();
  });
});

describe("starting", () => {
  test("keeps damaged entries aside, and leaves no unfinished file", async () => {
    await (await open()).add([a, b, c]);
    const at = (name: string): string => path.join(dir, "entries", name);
    writeFileSync(at(entryFileName(a)), "");
    writeFileSync(at(entryFileName(b)), readFileSync(at(entryFileName(c))));
    writeFileSync(at(".tmp-abc"), "{");
    mkdirSync(at("folder.json"));
    const spool = await open();
    expect(paths(spool.list())).toEqual([c]);
    expect(ls("entries")).toEqual([entryFileName(c)]);
    expect(ls("aside")).toHaveLength(3);
    expect(spool.counts()).toEqual({ waiting: 1, setAside: 0 });
  });

  test("where there is no folder to be had says so, and begins when there is one", async () => {
    await (await open()).add([a]);
    renameSync(dir, `${dir}-away`);
    writeFileSync(dir, "");
    const spool = await open();
    const unwritable = { code: "spool-unwritable" };
    expect(troubles.get("spool-unwritable")).toMatchObject(unwritable);
    await expect(spool.add([b])).rejects.toMatchObject(unwritable);
    await expect(spool.load()).rejects.toMatchObject(unwritable);
    const seen: string[] = [];
    const watch = spool.watch((entries) => void seen.push(...paths(entries)));
    rmSync(dir);
    renameSync(`${dir}-away`, dir);
    await eventually("a is known again", () => seen.includes(a));
    await eventually("the warning is gone", () => troubles.get("spool-unwritable") === null);
    expect(await roots.held()).toEqual([a]);
    await watch.close();
    expect(paths(await spool.add([b]))).toEqual([b]);
  });

  test("asks of a folder that can not be used are tries as well", async () => {
    mkdirSync(path.dirname(dir), { recursive: true });
    writeFileSync(dir, "");
    const spool = await open();
    rmSync(dir);
    expect(paths(await spool.add([a]))).toEqual([a]);
    expect((await open()).list()).toEqual(spool.list());
  });
});

describe("watching", () => {
  test("tells of what is there, and of what comes", async () => {
    const spool = await open();
    leaveIncoming(dir, [a]);
    const seen: string[] = [];
    const watch = spool.watch((entries) => void seen.push(...paths(entries)));
    await eventually("a", () => seen.includes(a));
    leaveIncoming(dir, [b, a]);
    await eventually("b", () => seen.includes(b));
    expect(seen).toEqual([a, b]);
    await watch.close();
    leaveIncoming(dir, [c]);
    expect(await spool.takeIn()).toHaveLength(1);
    expect(seen).toEqual([a, b]);
  });

  test("warns while it can not write, and takes in afterwards what came meanwhile", async () => {
    const spool = await open();
    const seen: string[] = [];
    const watch = spool.watch((entries) => void seen.push(...paths(entries)));
    await eventually("the first look", () => troubles.has("spool-unwritable"));
    rmSync(path.join(dir, "entries"), { recursive: true });
    writeFileSync(path.join(dir, "entries"), "");
    leaveIncoming(dir, [a]);
    await eventually("a warning", () => troubles.get("spool-unwritable") instanceof TetherError);
    expect(ls("incoming")).toHaveLength(1);
    rmSync(path.join(dir, "entries"));
    leaveIncoming(dir, [b]);
    await eventually("both", () => seen.length === 2);
    expect(troubles.get("spool-unwritable")).toBeNull();
    expect(existsSync(path.join(dir, "entries", entryFileName(a)))).toBe(true);
    await watch.close();
  });
});

describe("what the configuration does not want", () => {
  let asked: string[][];
  const openWith = (unwanted: readonly string[]): Promise<Spool> => {
    asked = [];
    return openSpool({
      dir,
      log: silentLog,
      targets: ["pi"],
      roots,
      sieve: async (given) => {
        asked.push([...given]);
        return new Set(given.filter((one) => unwanted.includes(one)));
      },
      warn: (code, problem) => void troubles.set(code, problem),
    });
  };
  const linkOf = (one: string): string => path.join(dir, "roots", path.basename(one));

  test("is not queued, and let go", async () => {
    const spool = await openWith([a]);
    leaveIncoming(dir, [a, b]);
    for (const one of [a, b]) symlinkSync(one, linkOf(one));
    expect(paths(await spool.takeIn())).toEqual([b]);
    expect(paths(spool.list())).toEqual([b]);
    expect([ls("incoming"), await roots.held()]).toEqual([[], [b]]);
    expect(
      paths(
        await spool.offer([
          { path: a, deriver: null, since: 1 },
          { path: c, deriver: null, since: 1 },
        ]),
      ),
    ).toEqual([c]);
    expect(spool.skipped()).toBe(2);
  });

  test("is queued by hand all the same, and stays when it comes in by itself", async () => {
    const spool = await openWith([a]);
    expect(paths(await spool.add([a]))).toEqual([a]);
    leaveIncoming(dir, [a]);
    await spool.takeIn();
    expect(paths(spool.list())).toEqual([a]);
    expect(await roots.held()).toEqual([a]);
    expect([asked.flat(), spool.skipped()]).toEqual([[], 0]);
  });
});
