// The whole way of an upload: the running daemon, a real sshd, real Nix on both sides.

import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { cacheTable, type DaemonHome } from "../support/daemon.js";
import { type CutProxy, startCutProxy } from "../support/cut-proxy.js";
import { type DaemonFixture, makeDaemonFixture } from "../support/daemon-fixture.js";
import { eventually } from "../support/eventually.js";
import { startNarTap } from "../support/nar-tap.js";
import { makeStore, type NixStore } from "../support/nix-store.js";
import type { Sshd } from "../support/sshd.js";
import { expectArrived, makeUploadLaptop, validIn, type UploadLaptop } from "../support/upload-laptop.js";

let fixture: DaemonFixture;
let machine: UploadLaptop;
let laptop: NixStore;
let sshd: Sshd;
let home: DaemonHome;
let { queue, uploads, addFiles, untilEmpty, untilUp, roots } = {} as UploadLaptop;
const stores: NixStore[] = [];

beforeAll(async () => {
  fixture = await makeDaemonFixture();
});

afterAll(async () => {
  await fixture?.dispose();
});

const use = (next: UploadLaptop): void => {
  machine = next;
  ({ home, store: laptop, queue, uploads, addFiles, untilEmpty, untilUp, roots } = next);
};

beforeEach(async () => {
  sshd = await fixture.sshd();
  use(await makeUploadLaptop(fixture));
});

afterEach(async () => {
  await machine.dispose();
  await sshd.stop();
  await Promise.all(stores.splice(0).map((store) => store.dispose()));
});

/** With this sshd as `pi`, whose store is `daemonSocket`'s. */
const configure = (table: string, daemonSocket = fixture.far.daemonSocket): Promise<void> =>
  machine.configure(sshd, { "remote-socket": daemonSocket }, table);
/** known_hosts for the sshd behind a proxy. */
const knownAt = async ({ address, port }: CutProxy): Promise<string> => {
  const file = join(sshd.dir, "known_hosts_proxy");
  const [, ...key] = sshd.knownHostsLine(sshd.address).split(" ");
  await writeFile(file, `[${address}]:${port} ${key.join(" ")}\n`);
  return file;
};
/** The `nix copy` that still run for this home. */
const copies = async (): Promise<string[]> => {
  const found: string[] = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (line.includes(home.socket("pi"))) found.push(line);
  }
  return found;
};
/** Another machine's store, behind the same sshd. */
const farStore = async (conf: string): Promise<{ store: NixStore; socket: string }> => {
  const store = await makeStore({ conf });
  stores.push(store);
  return { store, socket: await store.listen() };
};

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
  await expectArrived(pi, [leaf, top]);
  // Nothing that it had: of `shared` nobody sent the bytes.
  const bytes = (await laptop.dump(leaf)).size + (await laptop.dump(top)).size;
  expect(await uploads()).toMatchObject({ waiting: 0, uploaded: 3, failed: 0, targets: { pi: { bytes } } });
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
  for (const { targets } of await queue()) {
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
  await expectArrived(store, paths);
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
  await expect.poll(async () => (await queue()).length, { timeout: 40_000 }).toBe(2);
  await expect.poll(async () => (await uploads()).failed, { timeout: 20_000 }).toBe(2);
  for (const { targets } of await queue()) {
    expect(targets).toMatchObject([{ state: "set-aside", code: "path-gone" }]);
    expect(targets[0]?.reason).toContain("nix-tether queue retry");
  }
  await expectArrived(pi, kept);
  await queue({ command: "queue-drop", paths: [lost] });
  expect((await queue()).map(({ path }) => path)).toEqual([invalid]);
  // As long as nobody has built it again, asking for it does not help.
  await queue({ command: "queue-retry", paths: null });
  await expect.poll(async () => (await uploads()).failed, { timeout: 20_000 }).toBe(1);
  expect(await addFiles("force-1")).toEqual([invalid]);
  await queue({ command: "queue-retry", paths: null });
  await untilEmpty();
  await expectArrived(pi, [invalid]);
});

test("who may not sign in the local store still sends signed paths", async () => {
  // The nix-daemon of 2.8 lets only those sign whom it trusts.
  const strict = await makeStore({ conf: "trusted-users = nobody-at-all" });
  stores.push(strict);
  const localSocket = await strict.listen();
  const root = join(strict.dir, "root");
  const dep = await strict.addFile("dep", "d", { references: [] });
  const known = await strict.addFile("known", "k", { references: [] });
  const top = await strict.addFile("top", "t", { references: [dep, known] });
  const secret = join(strict.dir, "key");
  await strict.run("nix-store", "--generate-binary-cache-key", "laptop-1", secret, `${secret}.pub`);
  const publicKey = (await readFile(`${secret}.pub`, "utf8")).trim();
  const { store, socket } = await farStore(
    `trusted-users = nobody-at-all\ntrusted-public-keys = ${publicKey}`,
  );
  // Sent before, unsigned, by somebody who may.
  const options = ["--no-check-sigs", "--to", String(store.env["NIX_REMOTE"])];
  await strict.run("nix", "copy", ...options, known);
  const url = `unix://${localSocket}?root=${root}`;
  const env = { ...strict.env, NIX_REMOTE: url };
  const sign = execFileSync.bind(null, "nix", ["store", "sign", "-k", secret, top], { env, stdio: "pipe" });
  expect(sign).toThrow(/not privileged to add signatures/);

  await machine.dispose();
  use(await makeUploadLaptop(fixture, { store: strict, env: { NIX_REMOTE: url } }));
  await configure(`signing-key = "${secret}"`, socket);
  home.start();
  await home.untilListed(["pi"]);
  await queue({ command: "enqueue", paths: [top] });
  await untilEmpty();
  await expectArrived(store, [dep, known, top]);
  expect(await strict.run("nix", "path-info", "--sigs", top)).not.toContain("laptop-1");
  expect(await store.run("nix", "path-info", "--sigs", top)).toContain("laptop-1:");
  expect(await readdir(join(home.dir, "state/nix-tether/spool"))).not.toContain("stage-pi");
});

test("a link that is cut in the middle of a copy is no failure, and it goes on where it was when the link is back", async () => {
  const pi = fixture.far.store;
  const paths: string[] = [];
  for (let n = 0; n < 5; n += 1)
    paths.push(await laptop.addFile(`cut-${n}`, randomBytes(8 * 1024 * 1024), { references: [] }));
  const proxy = await startCutProxy(sshd, () => Infinity);
  const tap = await startNarTap(fixture.far.daemonSocket, join(home.dir, "tap.sock"));
  try {
    const at = { host: proxy.address, port: proxy.port, "known-hosts": await knownAt(proxy) };
    await machine.configure(sshd, { ...at, "remote-socket": tap.socket });
    home.start();
    await home.untilListed(["pi"]);
    proxy.slow(50 * 1024 * 1024);
    await queue({ command: "enqueue", paths });
    await eventually("the third is on its way", () => tap.arrivals.length === 3, 30_000);
    expect((await uploads()).targets["pi"]?.now).not.toBeNull();
    proxy.cut({ refuse: true });
    await home.untilListed([]);
    expect(await copies()).toEqual([]);
    expect((await uploads()).targets["pi"]).toMatchObject({ state: "offline", now: null, setAside: 0 });
    for (const { targets } of await queue()) expect(targets).toMatchObject([{ state: "waiting", tries: 0 }]);
    await eventually("the far nix-daemon has put it down", () => tap.connections === 0, 20_000);
    const there = await validIn(pi, paths);
    expect(there.size).toBeGreaterThanOrEqual(2);
    expect(there.size).toBeLessThan(paths.length);
    const before = tap.arrivals.length;
    proxy.slow(Infinity);
    proxy.allow();
    await untilEmpty(60_000);
    await expectArrived(pi, paths);
    const sent = tap.arrivals.slice(before).map(({ path }) => path);
    expect(sent.toSorted()).toEqual(paths.filter((path) => !there.has(path)).toSorted());
    expect(tap.problems).toEqual([]);
  } finally {
    await tap.close();
    await proxy.close();
  }
});

test("a machine that is away does not hold up the other", async () => {
  const nas = await fixture.sshd();
  const far = await farStore("");
  const table = (name: string, at: Sshd, socket: string): string =>
    cacheTable(name, fixture.cache(at, { "remote-socket": socket }));
  await home.configure(
    `${table("pi", sshd, fixture.far.daemonSocket)}${table("nas", nas, far.socket)}[uploads]\nto = ["pi", "nas"]\n`,
  );
  await nas.kill("SIGKILL");
  home.start();
  await home.untilListed(["pi"]);
  const paths = await addFiles("two-1", "two-2");
  await queue({ command: "enqueue", paths });
  await expect.poll(async () => (await uploads()).targets["pi"]?.waiting, { timeout: 20_000 }).toBe(0);
  await expectArrived(fixture.far.store, paths);
  expect(await uploads()).toMatchObject({ waiting: 2, uploaded: 2, targets: { nas: { waiting: 2 } } });
  for (const { targets } of await queue()) {
    expect(targets.map(({ name }) => name)).toEqual(["nas"]);
  }
  expect(await roots()).toHaveLength(2);
  await nas.restart();
  await untilEmpty(60_000);
  await expectArrived(far.store, paths);
  await nas.stop();
});
