// The spool on a disk that is full: nothing is lost, it says so, and goes on when there is room again.

import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openSpool, type Spool } from "../../src/uploads/spool.js";
import type { TetherError } from "../../src/util/errors.js";
import { createLinkRoots } from "../support/link-roots.js";
import { makePrivateNix, type PrivateNix } from "../support/private-nix.js";
import { silentLog } from "../support/silent-log.js";
import { leaveIncoming, storePath } from "../support/store-paths.js";

const [a, b, c] = [storePath("a"), storePath("b"), storePath("c")];
const unwritable = { code: "spool-unwritable" };

let machine: PrivateNix;
let dir = "";
let trouble: TetherError | null;

beforeEach(async () => {
  // For its mount namespace: the disk goes with it.
  machine = await makePrivateNix("2.8", () => "");
  await machine.run(`mkdir ${machine.dir}/disk; mount -t tmpfs -o size=256k none ${machine.dir}/disk`);
  dir = join(machine.outside(machine.dir), "disk", "spool");
  trouble = null;
});

afterEach(() => machine?.dispose());

const open = (): Promise<Spool> =>
  openSpool({
    dir,
    log: silentLog,
    targets: ["pi", "nas"],
    roots: createLinkRoots(join(dir, "roots")),
    warn: (code, problem) => void (code === "spool-unwritable" && (trouble = problem)),
  });
const filler = (): string => join(dir, "..", "filler");
const fill = (): void => {
  expect(() => {
    for (;;) writeFileSync(filler(), Buffer.alloc(4096), { flag: "a" });
  }).toThrow("ENOSPC");
};
const files = (folder: string): string[] => readdirSync(join(dir, folder));

test("what the hook has left stays until it can be taken in", async () => {
  const spool = await open();
  leaveIncoming(dir, [a, b]);
  fill();
  await expect(spool.takeIn()).rejects.toMatchObject(unwritable);
  await expect(spool.add([c])).rejects.toMatchObject(unwritable);
  expect(files("incoming")).toHaveLength(1);
  expect(files("entries")).toEqual([]);
  const watch = spool.watch(() => undefined);
  await expect.poll(() => trouble?.code).toBe("spool-unwritable");
  rmSync(filler());
  leaveIncoming(dir, [c]);
  await expect.poll(() => spool.counts().waiting).toBe(3);
  await expect.poll(() => trouble).toBeNull();
  await watch.close();
  expect([files("incoming"), files("aside")]).toEqual([[], []]);
  expect((await open()).list()).toEqual(spool.list());
});

test("what is queued still arrives, and failures are known until the next start", async () => {
  const spool = await open();
  await spool.add([a, b]);
  await spool.arrived("nas", [a]);
  fill();
  const failure = { code: "no-room", text: "none there either", permanent: false, notBefore: 9 };
  await expect(spool.failed("pi", [b], failure)).rejects.toMatchObject(unwritable);
  expect(spool.list().find(({ path }) => path === b)?.targets["pi"]).toMatchObject({
    tries: 1,
    notBefore: 9,
  });
  await spool.arrived("pi", [a]);
  expect(spool.list().map(({ path }) => path)).toEqual([b]);
  rmSync(filler());
  const again = await open();
  expect(again.list().map(({ path }) => path)).toEqual([b]);
  expect(again.list()[0]?.targets["pi"]?.tries).toBe(0);
  expect(files("entries")).toHaveLength(1);
});
