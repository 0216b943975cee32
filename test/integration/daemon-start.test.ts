// How the real daemon begins: what it refuses to run with, whom it refuses to trust, and what it tells Nix for whom.

import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { cacheTable, type DaemonHome } from "../support/daemon.js";
import { type DaemonFixture, makeDaemonFixture, nobody } from "../support/daemon-fixture.js";
import { eventually } from "../support/eventually.js";
import { makeKey, type Sshd, type TestKey } from "../support/sshd.js";

const passphrase = "what-only-its-owner-knows";
const publicKey = `pi-1:${Buffer.alloc(32, 7).toString("base64")}`;
const stale = "extra-substituters = http://127.0.0.1:37515/old?priority=30\n";

let fixture: DaemonFixture;
let sshd: Sshd;
let sealed: TestKey;

beforeAll(async () => {
  fixture = await makeDaemonFixture();
  sshd = await fixture.sshd();
  sealed = await makeKey(fixture.far.dir, "sealed", { passphrase });
});
afterAll(() => fixture?.dispose());

/** The override's settings, without the comments. */
async function settings(home: DaemonHome): Promise<string[]> {
  const text = await readFile(home.overrideFile, "utf8");
  return text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

test("a stale override is emptied before anything else is tried, and stays so without the gateway's port", async () => {
  const home = await fixture.home();
  await writeFile(home.overrideFile, stale);
  await home.configure(cacheTable("pi", fixture.cache(sshd)));
  const holder = createServer().listen(home.port, "127.0.0.1");
  onTestFinished(() => void holder.close());
  await once(holder, "listening");
  const daemon = home.start();
  const online = async (): Promise<boolean> => (await home.cache("pi")).state === "online";
  await eventually("the cache is online", () => online().catch(() => false), 15_000);

  const taken = `port ${home.port} on 127.0.0.1 is in use by node`;
  const log = daemon.said();
  expect(log.indexOf("override written")).toBeGreaterThanOrEqual(0);
  expect(log.indexOf("override written")).toBeLessThan(log.indexOf(taken));
  expect(await settings(home)).toEqual([]);
  const { caches, warnings } = await home.status();
  expect(caches["pi"]?.listed).toBe(false);
  expect(warnings).toMatchObject([{ code: "gateway-port-taken", cache: null }]);
  expect(warnings[0]?.text).toContain(taken);
  daemon.kill("SIGTERM");
  expect((await daemon.ended).code).toBe(0);
});

test("a wrong configuration ends it with 2, and every problem is named", async () => {
  const home = await fixture.home();
  await home.configure(`
[caches.pi]
hots = "pi.local"
port = 70000
transport = "carrier-pigeon"
[caches."my pi"]
host = "pi.local"
`);
  const { code, stdout, stderr } = await home.run("run");
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  for (const problem of [
    'caches.pi.hots: unknown key, did you mean "host"?',
    "caches.pi.host: missing",
    "caches.pi.port: found 70000",
    'caches.pi.transport: found "carrier-pigeon"',
    'caches."my pi": not a good name',
  ]) {
    expect(stderr).toContain(problem);
  }
  expect(stderr).toContain("5 problems");
  expect(await fixture.home().then((empty) => empty.run("run"))).toMatchObject({ code: 2 });
});

test("a stranger's host key and a sealed key are named, and nothing is listed", async () => {
  const [home, itsSshd] = await Promise.all([fixture.home({ env: { SSH_AUTH_SOCK: "" } }), fixture.sshd()]);
  const other = await makeKey(home.dir, "stranger");
  const words = other.publicKey.split(" ", 2).join(" ");
  await writeFile(join(home.dir, "changed"), `[${itsSshd.address}]:${itsSshd.port} ${words}\n`);
  await writeFile(join(home.dir, "unknown"), `elsewhere.example ${words}\n`);
  const table = (name: string, more: object): string =>
    cacheTable(name, fixture.cache(itsSshd, { "identity-file": join(home.dir, "id"), ...more }));
  await home.configure(
    table("changed", { "known-hosts": join(home.dir, "changed") }) +
      table("unknown", { "known-hosts": join(home.dir, "unknown") }) +
      table("sealed", { "identity-file": sealed.file }),
  );
  home.start();
  const codes = async (): Promise<string[]> =>
    (await home.status()).warnings.map(({ code, cache: name }) => `${name ?? ""} ${code}`).toSorted();
  const expected = ["changed host-key-changed", "sealed key-encrypted", "unknown host-key-unknown"];
  const told = async (): Promise<boolean> => (await codes()).join() === expected.join();
  await eventually("three warnings", () => told().catch(() => false), 15_000);
  expect(await settings(home)).toEqual([]);
  for (const [name, cache] of Object.entries((await home.status()).caches)) {
    expect([name, cache.state, cache.listed]).toEqual([name, "waiting", false]);
  }
  expect(itsSshd.log()).not.toContain("Accepted publickey");
});

test.each([
  { who: "root", uid: undefined, trustedUsers: "root", keys: true },
  { who: "a trusted user", uid: nobody, trustedUsers: "root nobody", keys: true },
  { who: "any other user", uid: nobody, trustedUsers: "root", keys: false },
])("public keys are passed on: $keys for $who; trusted = true stands in the URL", async (given) => {
  const conf = await nixConf(given.trustedUsers);
  const home = await fixture.home({
    ...(given.uid === undefined ? {} : { uid: given.uid }),
    // Who may open the store itself needs nobody's trust; on this machine that may be anybody.
    env: { SSH_AUTH_SOCK: "", NIX_CONF_DIR: conf, NIX_REMOTE: "daemon" },
  });
  const cache = fixture.cache(sshd, {
    "identity-file": join(home.dir, "id"),
    "public-keys": [publicKey],
    trusted: true,
  });
  await home.configure(cacheTable("pi", cache));
  const daemon = home.start();
  await home.untilListed(["pi"]);
  const [substituters, ...rest] = await settings(home);
  const url = `http://127\\.0\\.0\\.1:${home.port}/pi(/\\d+)?\\?priority=30&trusted=true`;
  expect(substituters).toMatch(new RegExp(`^extra-substituters = ${url}$`));
  expect(rest).toEqual(given.keys ? [`extra-trusted-public-keys = ${publicKey}`] : []);
  daemon.kill("SIGTERM");
  expect((await daemon.ended).code).toBe(0);
});

test("what was paused stays paused, through a kill and a restart, until it is resumed", async () => {
  const home = await fixture.home();
  await home.configure(cacheTable("pi", fixture.cache(sshd)) + cacheTable("nas", fixture.cache(sshd)));
  const first = home.start();
  await home.untilListed(["nas", "pi"]);
  expect((await home.run("pause", "pi")).code).toBe(0);
  const paused = async (): Promise<string> =>
    readFile(join(home.dir, "state", "nix-tether", "paused.json"), "utf8").catch(() => "");
  await eventually("it is written down", async () => (await paused()).includes('"pi"'));
  first.kill("SIGKILL");
  await first.ended;
  await home.run("unlist");

  const second = home.start();
  await home.untilListed(["nas"]);
  expect((await home.cache("pi")).state).toBe("paused");
  second.kill("SIGTERM");
  await second.ended;
  const third = home.start();
  await home.untilListed(["nas"]);
  expect((await home.cache("pi")).state).toBe("paused");
  await home.run("resume", "pi");
  await home.untilListed(["nas", "pi"]);
  third.kill("SIGTERM");
  await third.ended;
  const last = home.start();
  await home.untilListed(["nas", "pi"]);
  last.kill("SIGTERM");
  expect((await last.ended).code).toBe(0);
});

test("what the start took of memory is given back soon after, and then nothing for nothing", async () => {
  // Where systemd wants a sign of life every two seconds, everything is looked at every second.
  const home = await fixture.home({ nodeFlags: ["--trace-gc"], env: { WATCHDOG_USEC: "2000000" } });
  await home.configure("");
  const daemon = home.start();
  const collections = (): number => daemon.said().match(/low memory notification/g)?.length ?? 0;
  await eventually("memory is given back", async () => collections() > 0, 20_000);
  await sleep(500);
  const count = collections();
  await sleep(3_000);
  expect(collections()).toBe(count);
  daemon.kill("SIGTERM");
  expect((await daemon.ended).code).toBe(0);
});

test("no key and no passphrase is in anything that was said", async () => {
  const said = fixture.said();
  expect(said).toContain("nix-tether is running");
  expect(said).toContain(" debug ");
  expect(said).not.toContain(passphrase);
  for (const { file } of [fixture.far.key, sealed]) {
    const lines = (await readFile(file, "utf8")).trim().split("\n").slice(1, -1);
    expect(lines.length).toBeGreaterThan(3);
    for (const line of lines) expect(said).not.toContain(line.slice(0, 40));
  }
});

/** A folder with a nix.conf that names the trusted users. */
async function nixConf(trustedUsers: string): Promise<string> {
  const conf = join(fixture.far.dir, `conf-${trustedUsers.replace(" ", "-")}`);
  await mkdir(conf, { recursive: true });
  await writeFile(join(conf, "nix.conf"), `trusted-users = ${trustedUsers}\n`);
  return conf;
}
