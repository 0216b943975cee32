// What may be wrong with a machine that is uploaded to, with the link to it, and with the spool: it is told, what can go
// on goes on, and all of it ends by itself when the trouble does.

import { execFile } from "node:child_process";
import { chown, mkdir, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { QueueItem } from "../../src/control/messages.js";
import { type DaemonFixture, makeDaemonFixture, nobody } from "../support/daemon-fixture.js";
import { makePrivateNix, type NixVersion, type PrivateNix } from "../support/private-nix.js";
import type { Sshd } from "../support/sshd.js";
import { expectArrived, makeUploadLaptop, type UploadLaptop } from "../support/upload-laptop.js";

const run = promisify(execFile);

let fixture: DaemonFixture;
let laptop: UploadLaptop;
let sshd: Sshd;

beforeAll(async () => {
  fixture = await makeDaemonFixture();
});

afterAll(() => fixture?.dispose());

beforeEach(async () => {
  sshd = await fixture.sshd();
  laptop = await makeUploadLaptop(fixture);
});

afterEach(async () => {
  await laptop.dispose();
  await sshd.stop();
});

describe("a machine", () => {
  let pi: PrivateNix;

  afterEach(() => pi?.dispose());

  /** Its store and what Nix knows of it lie on file systems of their own. */
  const start = async (version: NixVersion, trouble: string): Promise<void> => {
    pi = await makePrivateNix(version, () => "");
    await pi.run("mkdir /nix/store; mount -t tmpfs -o size=16m none /nix/store; nix-store --init");
    await pi.run(trouble);
    await laptop.configure(sshd, { "remote-socket": await pi.listen() });
    laptop.home.start();
    await laptop.home.untilListed(["pi"]);
  };
  const stuck = async (): Promise<string | null> =>
    (await laptop.home.status()).warnings.find(({ code }) => code === "uploads-stuck")?.text ?? null;
  /** Waits until every path has failed for that reason; resolves to the queue. */
  const untilFailed = async (code: string): Promise<QueueItem[]> => {
    let queue: QueueItem[] = [];
    const haveFailed = async (): Promise<boolean> => {
      queue = await laptop.queue();
      return queue.every(({ targets }) => targets[0]?.code === code);
    };
    await expect.poll(haveFailed, { interval: 200, timeout: 60_000 }).toBe(true);
    return queue;
  };

  test("that is full is told of, each path is tried, and all arrive when there is room", async () => {
    await start("2.34", "dd if=/dev/zero of=/nix/store/.ballast bs=4k 2>/dev/null || true");
    const paths = await laptop.addFiles("full-1", "full-2");
    await laptop.queue({ command: "enqueue", paths });
    for (const { targets } of await untilFailed("target-full")) {
      expect(targets).toMatchObject([{ state: expect.stringMatching(/waiting|copying/) as string }]);
      expect(targets[0]?.reason).toMatch(/^pi has no room left \(.*No space left on device/);
    }
    const { targets } = await laptop.uploads();
    expect(targets["pi"]).toMatchObject({ waiting: 2, setAside: 0 });
    expect(await stuck()).toMatch(/^uploads to pi wait: pi has no room left/);
    await pi.run("rm /nix/store/.ballast");
    await laptop.queue({ command: "queue-retry", paths: null });
    await laptop.untilEmpty(40_000);
    await pi.run(`nix-store --verify-path ${paths.join(" ")}`);
    expect(await stuck()).toBeNull();
  });

  test("that is read-only is told of, and all arrive when it is not", async () => {
    await start("2.8", "mount -o remount,ro /nix/store");
    const paths = await laptop.addFiles("read-only");
    await laptop.queue({ command: "enqueue", paths });
    const [item] = await untilFailed("target-read-only");
    expect(item?.targets[0]?.reason).toMatch(
      /^the store of pi can not be written to \(.*Read-only file system/,
    );
    expect((await laptop.uploads()).targets["pi"]).toMatchObject({ state: "backing-off", setAside: 0 });
    await pi.run("mount -o remount,rw /nix/store");
    // By itself, without anybody asking.
    await laptop.untilEmpty(40_000);
    await pi.run(`nix-store --verify-path ${paths.join(" ")}`);
    // Where not even its nix-daemon can begin, no more than that is known.
    await pi.run("mount -o remount,ro /nix");
    await laptop.queue({ command: "enqueue", paths: await laptop.addFiles("dead") });
    await expect.poll(stuck, { interval: 200, timeout: 40_000 }).toMatch(/nix-daemon of pi.*journalctl/);
    await pi.run("mount -o remount,rw /nix");
    await laptop.untilEmpty(40_000);
  });
});

describe("a spool that can not be used at the start", () => {
  const mounts: string[] = [];

  afterEach(() => Promise.all(mounts.splice(0).map((folder) => run("umount", [folder]))));

  const trouble = async (): Promise<string | null> =>
    (await laptop.home.status()).warnings.find(({ code }) => code === "spool-unwritable")?.text ?? null;

  test.each<[string, RegExp, (spool: string) => Promise<() => Promise<unknown>>]>([
    [
      "for there is a file in its place",
      /ENOTDIR|EEXIST/,
      async (spool) => {
        await mkdir(dirname(spool), { recursive: true });
        await writeFile(spool, "");
        return () => rm(spool);
      },
    ],
    [
      "for its file system is read-only",
      /EROFS/,
      async (spool) => {
        const folder = dirname(spool);
        await mkdir(folder, { recursive: true });
        await run("mount", ["--bind", folder, folder]);
        mounts.push(folder);
        await run("mount", ["-o", "remount,bind,ro", folder]);
        return () => run("mount", ["-o", "remount,bind,rw", folder]);
      },
    ],
  ])("%s, is told of, and is used as soon as it can be", async (_, why, spoil) => {
    const mend = await spoil(laptop.spool);
    await laptop.configure(sshd);
    const daemon = laptop.home.start();
    await laptop.home.untilListed(["pi"]);
    expect(await trouble()).toMatch(why);
    const paths = await laptop.addFiles("kept-out");
    const refused = { ok: false, code: "spool-unwritable" };
    expect(await laptop.ask({ command: "enqueue", paths })).toMatchObject(refused);
    expect(await laptop.ask({ command: "queue" })).toMatchObject(refused);
    await mend();
    await expect.poll(trouble, { interval: 200, timeout: 30_000 }).toBeNull();
    await laptop.queue({ command: "enqueue", paths });
    await laptop.untilEmpty();
    await expectArrived(fixture.far.store, paths);
    expect(daemon.said()).toContain("spool-unwritable");
  });

  test("for it is somebody else's, is told of, and is used as soon as it can be", async () => {
    await laptop.dispose();
    laptop = await makeUploadLaptop(fixture, { uid: nobody });
    await mkdir(laptop.spool, { recursive: true, mode: 0o700 });
    for (const folder of [dirname(laptop.spool), dirname(dirname(laptop.spool))])
      await chown(folder, nobody, nobody);
    await laptop.configure(sshd);
    await chown(laptop.spool, 0, 0);
    laptop.home.start();
    await expect.poll(trouble, { interval: 200, timeout: 30_000 }).toContain("EACCES");
    expect(await laptop.ask({ command: "queue" })).toMatchObject({ ok: false, code: "spool-unwritable" });
    await chown(laptop.spool, nobody, nobody);
    await expect.poll(trouble, { interval: 200, timeout: 30_000 }).toBeNull();
    expect(await laptop.queue()).toEqual([]);
  });
});
