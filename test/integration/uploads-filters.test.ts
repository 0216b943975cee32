// What the configuration has to say of uploads, with the running daemon, a real sshd, and real Nix on both sides: which of
// what is built goes, and what goes along with it.

import { readdir, symlink } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { basename, join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, onTestFinished, test } from "vitest";
import { askDaemon } from "../../src/control/client.js";
import type { ControlRequest, QueueItem } from "../../src/control/messages.js";
import { parseStorePath } from "../../src/protocol/store-path.js";
import { cacheTable, type DaemonHome } from "../support/daemon.js";
import { type DaemonFixture, makeDaemonFixture } from "../support/daemon-fixture.js";
import { makeStore, type NixStore } from "../support/nix-store.js";
import type { Sshd } from "../support/sshd.js";
import { leaveIncoming } from "../support/store-paths.js";

let fixture: DaemonFixture;
let laptop: NixStore;
let pi: NixStore;
let sshd: Sshd;
let home: DaemonHome;

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
  await Promise.all([laptop, pi].map((store) => store.dispose()));
});

/** Starts the daemon with these settings of `[uploads]`; the Pi's nix.conf ends with `conf`. */
const start = async (uploads: string, conf = ""): Promise<void> => {
  pi = await makeStore({ conf });
  const table = cacheTable("pi", fixture.cache(sshd, { "remote-socket": await pi.listen() }));
  await home.configure(`${table}\n[uploads]\nto = ["pi"]\n${uploads}\n`);
  home.start();
  await home.untilListed(["pi"]);
};
const spool = (...names: string[]): string => join(home.dir, "state/nix-tether/spool", ...names);
/** Does what the hook does. */
const hook = async (paths: readonly string[], drv = ""): Promise<void> => {
  for (const path of paths) await symlink(path, spool("roots", basename(path)));
  leaveIncoming(spool(), paths, drv);
};
const queue = async (request: ControlRequest = { command: "queue" }): Promise<QueueItem[]> => {
  const reply = await askDaemon(join(home.runtimeDir, "control.sock"), request, { timeoutMs: 30_000 });
  if (!reply.ok) throw new Error(reply.message);
  return reply.queue ?? [];
};
/** Waits until nothing is left to do. Resolves to those of the paths that have arrived. */
const settled = async (paths: readonly string[]): Promise<string[]> => {
  const rest = async (): Promise<number> =>
    (await readdir(spool("incoming"))).length + (await queue()).length;
  await expect.poll(rest, { timeout: 30_000 }).toBe(0);
  return (await presentOf(paths)).toSorted();
};
const presentOf = async (paths: readonly string[]): Promise<string[]> => {
  const absent = await pi.run("nix-store", "--check-validity", "--print-invalid", ...paths);
  return paths.filter((path) => !absent.includes(path));
};

test("what is not wanted by its name, its size, or because a cache has it, stays here and is let go", async () => {
  const asked: string[] = [];
  const server = createServer(({ url }, response) => {
    asked.push(String(url));
    if (url !== `/nar/${parseStorePath(available)?.hashPart}.narinfo`) response.writeHead(404).end();
    else response.end(`StorePath: ${available}\nURL: nar/x.nar\n`);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const add = (name: string, size = 10): Promise<string> => laptop.addFile(name, "x".repeat(size));
  const small = await add("kept-small");
  const large = await add("kept-large", 200_000);
  const source = await add("kept-source");
  const other = await add("other");
  const available = await add("kept-available");
  await start(
    `only = ["kept-*"]
    skip = ["*-source"]
    max-size = "100K"
    skip-available-in = ["http://127.0.0.1:${(server.address() as AddressInfo).port}/nar/"]`,
  );
  const all = [small, large, source, other, available];
  await hook(all);
  expect(await settled(all)).toEqual([small]);
  expect((await home.status()).uploads).toMatchObject({ uploaded: 1, failed: 0, skipped: 4 });
  expect(await readdir(spool("roots"))).toEqual([]);
  expect(asked.toSorted()).toEqual(
    [small, available].map((path) => `/nar/${parseStorePath(path)?.hashPart}.narinfo`).toSorted(),
  );
  // Who asks for it by hand means it.
  await queue({ command: "enqueue", paths: [source, large, available], now: false });
  expect(await settled(all)).toEqual([small, source, large, available].toSorted());
});

test("nothing is kept back for a cache that does not answer", async () => {
  await start(`skip-available-in = ["http://127.0.0.1:1"]`);
  const path = await laptop.addFile("built", "offline");
  await hook([path]);
  expect(await settled([path])).toEqual([path]);
});

test("derivations go along where that is wanted, also of what is there already", async () => {
  const expression = `let make = name: needs: derivation {
    inherit name needs; system = builtins.currentSystem; builder = "/bin/sh"; source = builtins.toFile "script" "echo";
  }; in make "top" [ (make "dep" [ ]) ]`;
  const drv = (await laptop.run("nix-instantiate", "--expr", expression)).trim();
  const needed = (await laptop.run("nix-store", "-qR", drv)).trim().split("\n");
  expect(needed.length).toBeGreaterThan(2);
  const [built, there, orphan] = [
    await laptop.addFile("built", "b", { deriver: drv }),
    await laptop.addFile("there", "t"),
    await laptop.addFile("orphan", "o"),
  ];
  const gone = "/nix/store/00000000000000000000000000000000-gone.drv";
  await start("derivations = true");
  expect(await pi.addFile("there", "t")).toBe(there);
  await hook([orphan], gone);
  expect(await settled([orphan, ...needed])).toEqual([orphan]);
  await hook([there], drv);
  expect(await settled([there, ...needed])).toEqual([there, ...needed].toSorted());
  await hook([built], drv);
  expect(await settled([built])).toEqual([built]);
  expect((await home.status()).uploads).toMatchObject({ uploaded: 3, failed: 0 });
});

test("what was fetched here the machine fetches itself where it is told to, and what it can not get is sent", async () => {
  const cache = `file://${join(laptop.dir, "cache")}`;
  const [dep, lost, own] = [
    await laptop.addFile("dep", "d", { references: [] }),
    await laptop.addFile("lost", "l", { references: [] }),
    await laptop.addFile("own", "o", { references: [] }),
  ];
  const key = await laptop.sign("public-1", dep, lost);
  await laptop.run("nix", "copy", "--to", cache, dep);
  const top = await laptop.addFile("top", "t", { references: [dep, lost, own] });
  await start(
    "substitute-on-destination = true",
    `substituters = ${cache}\ntrusted-public-keys = ${key}\ntrusted-users = root`,
  );
  await hook([top]);
  expect(await settled([dep, lost, own, top])).toEqual([dep, lost, own, top].toSorted());
  let bytes = 0;
  for (const path of [lost, own, top]) bytes += (await laptop.dump(path)).size;
  expect((await home.status()).uploads.targets["pi"]).toMatchObject({ uploaded: 1, bytes });
});
