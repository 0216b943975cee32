// Uploads of the running daemon while the battery is low: they wait, also in the middle of a copy, and go on by themselves.

import { randomBytes } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { askDaemon } from "../../src/control/client.js";
import type { ControlRequest, QueueItem, UploadTargetStatus } from "../../src/control/messages.js";
import { cacheTable, type DaemonHome } from "../support/daemon.js";
import { type CutProxy, startCutProxy } from "../support/cut-proxy.js";
import { type DaemonFixture, makeDaemonFixture } from "../support/daemon-fixture.js";
import { createBus, type PrivateBus } from "../support/netmon-lab.js";
import { makeStore, type NixStore } from "../support/nix-store.js";
import type { Sshd } from "../support/sshd.js";
import { startUpower, type Upower } from "../support/upower.js";

let fixture: DaemonFixture;
let sshd: Sshd;
let bus: PrivateBus;
let proxy: CutProxy;
let upower: Upower;
let laptop: NixStore;
let home: DaemonHome;

beforeAll(async () => {
  fixture = await makeDaemonFixture();
  sshd = await fixture.sshd();
  proxy = await startCutProxy(sshd, () => Infinity);
  bus = await createBus();
});

afterAll(async () => {
  await proxy?.close();
  await bus?.remove();
  await fixture?.dispose();
});

beforeEach(async () => {
  laptop = await makeStore();
  home = await fixture.home({
    env: {
      NIX_REMOTE: laptop.env["NIX_REMOTE"],
      NIX_CONF_DIR: laptop.env["NIX_CONF_DIR"],
      NIX_USER_CONF_FILES: "",
      NIX_STATE_DIR: join(laptop.dir, "root/nix/var/nix"),
      DBUS_SYSTEM_BUS_ADDRESS: bus.address,
    },
  });
  const known = join(home.dir, "known_hosts");
  const [, ...key] = sshd.knownHostsLine(sshd.address).split(" ");
  await writeFile(known, `[${proxy.address}]:${proxy.port} ${key.join(" ")}\n`);
  const at = { host: proxy.address, port: proxy.port, "known-hosts": known };
  await home.configure(`${cacheTable("pi", fixture.cache(sshd, at))}\n[uploads]\nto = ["pi"]\n`);
});

afterEach(async () => {
  proxy.slow(Infinity);
  upower?.stop();
  await home.dispose();
  await laptop.dispose();
});

const queue = async (request: ControlRequest): Promise<QueueItem[]> => {
  const reply = await askDaemon(join(home.runtimeDir, "control.sock"), request, { timeoutMs: 30_000 });
  if (!reply.ok) throw new Error(reply.message);
  return reply.queue ?? [];
};
const target = async (): Promise<UploadTargetStatus> => {
  const found = (await home.status()).uploads.targets["pi"];
  if (found === undefined) throw new Error("status has no target pi");
  return found;
};
/** The `nix copy` that run for this home. */
const copies = async (): Promise<string[]> => {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")),
  );
  return lines.filter((line) => line.includes(home.socket("pi")));
};
const until = { timeout: 20_000, interval: 50 };

test("what waits on a low battery says so, what is asked for by --now goes, and the rest when there is more", async () => {
  upower = await startUpower(bus.address, { OnBattery: true, IsPresent: true, Percentage: 20 });
  home.start();
  await home.untilListed(["pi"]);
  const one = await laptop.addFile("one", `1 ${process.pid}`, { references: [] });
  const two = await laptop.addFile("two", `2 ${process.pid}`, { references: [] });
  await queue({ command: "enqueue", paths: [one, two] });
  await expect.poll(target, until).toMatchObject({
    state: "held",
    reason: "on battery with 20 % left; `uploads.battery-level` asks for 30 %",
    waiting: 2,
    going: null,
    rate: null,
    left: (await laptop.dump(one)).size + (await laptop.dump(two)).size,
  });
  upower.set({ Percentage: 19 });
  await expect.poll(async () => (await target()).reason, until).toContain("19 % left");

  await queue({ command: "enqueue", paths: [two], now: true });
  await expect
    .poll(async () => (await queue({ command: "queue" })).map(({ path }) => path), until)
    .toEqual([one]);
  await fixture.far.store.run("nix-store", "--verify-path", two);
  expect(await target()).toMatchObject({ state: "held", waiting: 1, uploaded: 1 });

  upower.set({ Percentage: 30 });
  await expect.poll(target, until).toMatchObject({ state: "resting", reason: null, waiting: 0, uploaded: 2 });
  await fixture.far.store.run("nix-store", "--verify-path", one);
});

test("bytes grow within a copy; a battery that gets low stops it, and it goes on later", async () => {
  upower = await startUpower(bus.address, { OnBattery: true, IsPresent: true, Percentage: 50 });
  home.start();
  await home.untilListed(["pi"]);
  const big = await laptop.addFile("big", randomBytes(24 * 1024 * 1024), { references: [] });
  const { size } = await laptop.dump(big);
  proxy.slow(4 * 1024 * 1024);
  await queue({ command: "enqueue", paths: [big] });
  const seen = new Set<number>();
  await expect
    .poll(async () => {
      const { going, bytes, left, rate } = await target();
      if (going === null || going.sent === 0 || rate === null) return 0;
      expect(going).toMatchObject({ paths: 1, size });
      expect(left).toBe(size - going.sent);
      expect(bytes).toBe(going.sent);
      return seen.add(going.sent).size;
    }, until)
    .toBeGreaterThan(2);
  expect((await queue({ command: "queue" }))[0]?.targets[0]).toMatchObject({ state: "copying" });

  upower.set({ Percentage: 10 });
  await expect.poll(target, until).toMatchObject({ state: "held", now: null, going: null, waiting: 1 });
  await expect.poll(copies, until).toEqual([]);
  const { bytes } = await target();
  expect(bytes).toBeGreaterThan(0);
  expect(bytes).toBeLessThan(size);

  proxy.slow(Infinity);
  upower.set({ OnBattery: false });
  await expect.poll(target, until).toMatchObject({ waiting: 0, uploaded: 1, bytes: size, left: 0 });
  await fixture.far.store.run("nix-store", "--verify-path", big);
}, 60_000);
