// The whole way of an upload: the running daemon, a real sshd, real Nix on both sides.

import { access, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { askDaemon } from "../../src/control/client.js";
import type { ControlRequest, QueueItem, UploadsStatus } from "../../src/control/messages.js";
import { cacheTable, type DaemonHome } from "../support/daemon.js";
import { type DaemonFixture, makeDaemonFixture } from "../support/daemon-fixture.js";
import { makeStore, type NixStore } from "../support/nix-store.js";
import type { Sshd } from "../support/sshd.js";

let fixture: DaemonFixture;
let laptop: NixStore;
let sshd: Sshd;
let home: DaemonHome;
const stores: NixStore[] = [];

beforeAll(async () => {
  fixture = await makeDaemonFixture();
});

afterAll(async () => {
  await fixture?.dispose();
});

beforeEach(async () => {
  laptop = await makeStore();
  sshd = await fixture.sshd();
  home = await fixture.home({
    env: {
      NIX_REMOTE: laptop.env["NIX_REMOTE"],
      NIX_CONF_DIR: laptop.env["NIX_CONF_DIR"],
      NIX_USER_CONF_FILES: "",
      // Where the roots are: Nix itself finds it by the store's URL.
      NIX_STATE_DIR: join(laptop.dir, "root/nix/var/nix"),
    },
  });
});

afterEach(async () => {
  await home.dispose();
  await sshd.stop();
  await Promise.all([laptop, ...stores.splice(0)].map((store) => store.dispose()));
});

/** Starts the daemon with this sshd as `pi`, whose store is `daemonSocket`'s. */
const configure = (uploads: string, daemonSocket = fixture.far.daemonSocket): Promise<void> =>
  home.configure(
    `${cacheTable("pi", fixture.cache(sshd, { "remote-socket": daemonSocket }))}\n[uploads]\nto = ["pi"]\n${uploads}\n`,
  );
const queue = async (request: ControlRequest): Promise<QueueItem[]> => {
  const socket = join(home.runtimeDir, "control.sock");
  const reply = await askDaemon(socket, request, { timeoutMs: 30_000 });
  if (!reply.ok) throw new Error(reply.message);
  return reply.queue ?? [];
};
const uploads = async (): Promise<UploadsStatus> => (await home.status()).uploads;
/** One after the other: a new store takes no two at once. */
const addFiles = async (...names: string[]): Promise<string[]> => {
  const paths: string[] = [];
  for (const name of names) paths.push(await laptop.addFile(name, name, { references: [] }));
  return paths;
};
const untilEmpty = (ms = 20_000): Promise<void> =>
  expect
    .poll(async () => (await queue({ command: "queue" })).map(({ targets }) => targets), { timeout: ms })
    .toEqual([]);
const untilUp = (): Promise<void> =>
  expect
    .poll(
      () =>
        access(join(home.runtimeDir, "control.sock")).then(
          () => true,
          () => false,
        ),
      { timeout: 10_000 },
    )
    .toBe(true);
const arrivedIn = async (store: NixStore, paths: readonly string[]): Promise<void> => {
  for (const path of paths) await store.run("nix-store", "--verify-path", path);
};
/** Another machine's store, behind the same sshd. */
const farStore = async (conf: string): Promise<{ store: NixStore; socket: string }> => {
  const store = await makeStore({ conf });
  stores.push(store);
  return { store, socket: await store.listen() };
};
const roots = (): Promise<string[]> => readdir(join(home.dir, "state/nix-tether/spool/roots"));

test("what is queued while the machine is away arrives when it returns, and is let go", async () => {
  const pi = fixture.far.store;
  const leaf = await laptop.addFile("leaf", `l${process.pid}`, { references: [] });
  const top = await laptop.addFile("top", `t${process.pid}`, { references: [leaf] });
  const shared = await laptop.addFile("shared", "on both");
  expect(await pi.addFile("shared", "on both")).toBe(shared);
  await configure("");
  await sshd.kill("SIGKILL");
  home.start();
  await untilUp();
  const queued = await queue({ command: "enqueue", paths: [top, leaf, shared] });
  expect(queued.map(({ path }) => path).toSorted()).toEqual([top, leaf, shared].toSorted());
  expect(queued[0]).toMatchObject({
    size: expect.any(Number) as number,
    targets: [{ name: "pi", state: "waiting" }],
  });
  expect(await uploads()).toMatchObject({ waiting: 3, targets: { pi: { state: "offline", waiting: 3 } } });
  expect(await roots()).toHaveLength(3);
  await sshd.restart();
  await untilEmpty(40_000);
  await arrivedIn(pi, [leaf, top]);
  expect(await uploads()).toMatchObject({ waiting: 0, uploaded: 3, failed: 0 });
  expect(await roots()).toEqual([]);
  await laptop.run("nix-store", "--gc");
  await expect(laptop.run("nix-store", "--check-validity", top)).rejects.toThrow();
});

test("a machine that trusts neither the login nor a key is told of once; signed with one that it trusts, all arrive", async () => {
  const secret = join(home.dir, "key");
  await laptop.run("nix-store", "--generate-binary-cache-key", "laptop-1", secret, `${secret}.pub`);
  const publicKey = (await readFile(`${secret}.pub`, "utf8")).trim();
  const { store, socket } = await farStore(
    `trusted-users = nobody-at-all\ntrusted-public-keys = ${publicKey}`,
  );
  const paths = await addFiles("a", "b", "c");
  await configure("", socket);
  const daemon = home.start();
  await home.untilListed(["pi"]);
  await queue({ command: "enqueue", paths });
  await expect.poll(async () => (await uploads()).failed, { timeout: 20_000 }).toBe(3);
  const report = await home.status();
  const told = report.warnings.filter(({ code }) => code === "uploads-unsigned");
  expect(told).toHaveLength(1);
  expect(told[0]?.text).toContain("uploads.signing-key");
  for (const { targets } of await queue({ command: "queue" })) {
    expect(targets).toMatchObject([{ state: "set-aside", code: "unsigned", tries: 1 }]);
  }
  daemon.kill("SIGTERM");
  await daemon.ended;
  await configure(`signing-key = "${secret}"`, socket);
  home.start();
  await home.untilListed(["pi"]);
  expect((await uploads()).failed).toBe(3);
  await queue({ command: "queue-retry", paths: null });
  await untilEmpty();
  await arrivedIn(store, paths);
  expect((await home.status()).warnings.filter(({ code }) => code === "uploads-unsigned")).toEqual([]);
});

test("a path whose files were deleted is set aside, and the others go on", async () => {
  const pi = fixture.far.store;
  const paths = await addFiles("force-1", "force-2", "force-3", "force-4", "force-5");
  const [invalid = "", lost = "", ...kept] = paths;
  await configure("");
  await sshd.kill("SIGKILL");
  home.start();
  await untilUp();
  await queue({ command: "enqueue", paths });
  await laptop.run("nix-store", "--delete", "--ignore-liveness", invalid);
  await rm(laptop.physical(lost), { recursive: true });
  await sshd.restart();
  await expect.poll(async () => (await queue({ command: "queue" })).length, { timeout: 40_000 }).toBe(2);
  await expect.poll(async () => (await uploads()).failed, { timeout: 20_000 }).toBe(2);
  for (const { targets } of await queue({ command: "queue" })) {
    expect(targets).toMatchObject([{ state: "set-aside", code: "path-gone" }]);
  }
  await arrivedIn(pi, kept);
  await queue({ command: "queue-drop", paths: [lost] });
  expect((await queue({ command: "queue" })).map(({ path }) => path)).toEqual([invalid]);
});
