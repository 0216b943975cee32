// What may be wrong with a machine that is uploaded to, with the link to it, and with the spool: it is told, what can go
// on goes on, and all of it ends by itself when the trouble does.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { QueueItem } from "../../src/control/messages.js";
import { type DaemonFixture, makeDaemonFixture } from "../support/daemon-fixture.js";
import { makePrivateNix, type NixVersion, type PrivateNix } from "../support/private-nix.js";
import type { Sshd } from "../support/sshd.js";
import { makeUploadLaptop, type UploadLaptop } from "../support/upload-laptop.js";

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

describe.each<NixVersion>(["2.8", "2.34"])("a machine with Nix %s", (version) => {
  let pi: PrivateNix;

  beforeEach(async () => {
    pi = await makePrivateNix(version, () => "");
    // Its store and what Nix knows of it lie on file systems of their own.
    await pi.run("mkdir /nix/store; mount -t tmpfs -o size=16m none /nix/store; nix-store --init");
  });

  afterEach(() => pi?.dispose());

  const start = async (): Promise<void> => {
    await laptop.configure(sshd, { "remote-socket": await pi.listen() });
    laptop.home.start();
    await laptop.home.untilListed(["pi"]);
  };
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
    await pi.run("dd if=/dev/zero of=/nix/store/.ballast bs=4k 2>/dev/null || true");
    await start();
    const paths = await laptop.addFiles("full-1", "full-2");
    await laptop.queue({ command: "enqueue", paths });
    for (const { targets } of await untilFailed("target-full")) {
      expect(targets).toMatchObject([{ state: expect.stringMatching(/waiting|copying/) as string }]);
      expect(targets[0]?.reason).toMatch(/^pi has no room left \(.*No space left on device/);
    }
    const { targets } = await laptop.uploads();
    expect(targets["pi"]).toMatchObject({ waiting: 2, setAside: 0 });
    await pi.run("rm /nix/store/.ballast");
    await laptop.queue({ command: "queue-retry", paths: null });
    await laptop.untilEmpty(40_000);
    await pi.run(`nix-store --verify-path ${paths.join(" ")}`);
  });

  test("that is read-only is told of, and all arrive when it is not", async () => {
    await pi.run("mount -o remount,ro /nix/store");
    await start();
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
  });
});
