// HTTP caches in the running daemon: a real nginx with what the real Nix has put there, and the real Nix that fetches.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createHash, randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFailed, test } from "vitest";
import { askDaemon } from "../../src/control/client.js";
import { startCutProxy, type CutProxy } from "../support/cut-proxy.js";
import { cacheTable, type DaemonHome } from "../support/daemon.js";
import { type DaemonFixture, makeDaemonFixture } from "../support/daemon-fixture.js";
import { eventually } from "../support/eventually.js";
import { ask } from "../support/http.js";
import { makeCertificate, startNginx, type Nginx } from "../support/nginx.js";
import { makeStore, type NixStore } from "../support/nix-store.js";
import type { Sshd } from "../support/sshd.js";

const expression = `derivation {
  name = "built-here";
  system = builtins.currentSystem;
  builder = "/bin/sh";
  PATH = "/bin:/usr/bin";
  args = [ "-c" "echo built > $out" ];
}`;
const buildOptions = ["--option", "sandbox-paths", "/bin /usr /lib /lib64", "--no-out-link"];
const size = 18 << 20;

let fixture: DaemonFixture;
let home: DaemonHome;
let sshd: Sshd;
let nginx: Nginx;
let proxy: CutProxy;
/** Before the first of the ways of `roaming`. */
let nearby: CutProxy;
let dir: string;
let laptop: NixStore;
let publicKey: string;
let paths: { readonly xz: string; readonly zstd: string; readonly none: string };

const hashPart = (path: string): string => path.slice("/nix/store/".length, "/nix/store/".length + 32);
/** Those that can be used, and the one whose machine `inner` is reached through. */
const all = ["inner", "locked", "moved", "nas", "roaming", "secure"];

async function untilListed(without: readonly string[] = [], ms?: number): Promise<void> {
  const names = [...all, "pi"].filter((name) => !without.includes(name));
  await home.untilListed(names.toSorted(), ms);
}

async function urlOf(cache: string): Promise<string> {
  const { url } = await home.cache(cache);
  return url;
}

async function get(cache: string, file: string): ReturnType<typeof ask> {
  return ask(home.port, `${new URL(await urlOf(cache)).pathname}/${file}`);
}

const narOf = async (cache: string, path: string): Promise<string> =>
  /^URL: (.*)$/m.exec((await get(cache, `${hashPart(path)}.narinfo`)).body.toString())?.[1] ?? "no URL";

beforeAll(async () => {
  fixture = await makeDaemonFixture();
  dir = await mkdtemp(join(tmpdir(), "nix-tether-http-"));
  laptop = await makeStore();
  sshd = await fixture.sshd();
  const { store } = fixture.far;
  paths = {
    xz: await store.addTree("xz", { entries: { text: "few bytes\n".repeat(100) } }, {}),
    zstd: await store.addTree("zstd", "some bytes\n".repeat(10_000), {}),
    none: await store.addTree("none", randomBytes(size), {}),
  };
  publicKey = await store.sign("pi-1", ...Object.values(paths));
  for (const [compression, path] of Object.entries(paths)) {
    await store.run("nix", "copy", "--to", `file://${dir}/cache?compression=${compression}`, path);
  }
  const [ours, stranger] = [await makeCertificate(dir, "ours"), await makeCertificate(dir, "stranger")];
  await writeFile(join(dir, "passwords"), "ada:{PLAIN}correct horse\n");
  await writeFile(join(dir, "netrc"), 'machine 127.0.0.1 login ada password "correct horse"\n');
  await writeFile(join(dir, "wrong-netrc"), "machine 127.0.0.1 login ada password wrong\n");
  const root = `root ${dir}/cache;`;
  nginx = await startNginx({
    plain: root,
    // A transfer takes long enough to be cut.
    slow: `${root} limit_rate 6m;`,
    locked: `${root} auth_basic here; auth_basic_user_file ${dir}/passwords;`,
    moved: `location = /a/nix-cache-info { ${root} rewrite ^/a(/.*)$ $1 break; } location / { rewrite ^/a/(.*)$ http://127.0.0.1:PORT_plain/$1 redirect; }`,
    secure: `${root} ${ours.lines}`,
    stranger: `${root} ${stranger.lines}`,
    nothing: "return 404;",
  });
  const slow = { address: "127.0.0.1", port: nginx.ports["slow"] ?? 0 };
  proxy = await startCutProxy(slow, () => Infinity);
  nearby = await startCutProxy(slow, () => Infinity);
  home = await fixture.home({ env: { SSL_CERT_FILE: ours.file } });
  const at = (server: string, more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> => {
    const scheme = server === "secure" || server === "stranger" ? "https" : "http";
    return { type: "http", url: `${scheme}://127.0.0.1:${nginx.ports[server]}`, ...more };
  };
  await home.configure(
    [
      cacheTable("pi", fixture.cache(sshd, { "only-when-asked": false })),
      cacheTable("nas", { type: "http", url: `http://127.0.0.1:${proxy.port}` }),
      cacheTable("roaming", { type: "http", url: `http://127.0.0.1:${nearby.port}` }),
      `[[caches.roaming.ways]]\nurl = "http://127.0.0.1:${nginx.ports["moved"]}/a"\n`,
      cacheTable("locked", at("locked", { "netrc-file": join(dir, "netrc") })),
      cacheTable("moved", { ...at("moved"), url: `http://127.0.0.1:${nginx.ports["moved"]}/a/` }),
      cacheTable("secure", at("secure")),
      cacheTable("inner", at("plain", { via: "pi" })),
      cacheTable("refused", at("locked", { "netrc-file": join(dir, "wrong-netrc") })),
      cacheTable("stranger", at("stranger")),
      cacheTable("nothing", at("nothing")),
      cacheTable("plaintext", { type: "http", url: `https://127.0.0.1:${nginx.ports["plain"]}` }),
    ].join(""),
  );
  home.start();
  await untilListed();
});

afterAll(async () => {
  await fixture.dispose();
  await proxy.close();
  await nearby.close();
  await nginx.dispose();
  await laptop.dispose();
  await rm(dir, { recursive: true, force: true });
});

test("Nix fetches what is compressed in each way, and checks the signatures", async () => {
  onTestFailed(() => void process.stderr.write(home.said().slice(-4_000)));
  const options = [
    "--option",
    "substituters",
    await urlOf("nas"),
    "--option",
    "trusted-public-keys",
    publicKey,
  ];
  await laptop.run("nix-store", "-r", ...Object.values(paths), ...options);
  for (const path of Object.values(paths)) {
    expect(await laptop.dump(path)).toEqual(await fixture.far.store.dump(path));
  }
  expect(await home.cache("nas")).toMatchObject({
    type: "http",
    state: "online",
    host: `127.0.0.1:${proxy.port}`,
    address: "127.0.0.1",
    port: proxy.port,
    socket: null,
    transport: "http",
    nixVersion: null,
    hits: 3,
    unsigned: 0,
  });
});

test("a password from netrc, redirects, TLS, and the way through another cache's machine", async () => {
  for (const cache of all) {
    const nar = await narOf(cache, paths.zstd);
    expect(nar, cache).toMatch(/\.nar\.zst$/);
    const { status, body } = await get(cache, nar);
    expect([cache, status]).toEqual([cache, 200]);
    expect(body.subarray(0, 4).toString("hex"), cache).toBe("28b52ffd");
    expect((await get(cache, `${"0".repeat(32)}.narinfo`)).status, cache).toBe(404);
  }
  expect(await home.cache("secure")).toMatchObject({ transport: "https" });
  expect(await home.cache("inner")).toMatchObject({ way: { host: expect.stringMatching(/ through pi$/) } });
});

test("what can not be used says why, and what to do", async () => {
  const unfit = {
    refused: "http-auth",
    stranger: "certificate",
    nothing: "http-no-cache",
    plaintext: "no-tls",
  };
  const told = async (): Promise<Record<string, string>> =>
    Object.fromEntries(
      (await home.status()).warnings.flatMap(({ cache, code }) =>
        cache !== null && cache in unfit ? [[cache, code]] : [],
      ),
    );
  await expect.poll(told, { timeout: 20_000 }).toEqual(unfit);
  const { caches, warnings } = await home.status();
  expect(caches["stranger"]?.reason).toContain("the certificate of 127.0.0.1 is refused");
  const trust = await home.run("trust", "nas");
  expect([trust.code === 0, trust.stderr]).toEqual([false, expect.stringContaining("has no host key")]);
  expect(home.said() + JSON.stringify(warnings)).not.toMatch(/correct horse|Y29ycmVjdCBob3JzZQ/);
});

test("the doctor looks at web servers, and at them only", async () => {
  const { stdout } = await home.run("doctor", "--json");
  const results = (
    JSON.parse(stdout) as { checks: { id: string; cache: string; mark: string; text: string }[] }
  ).checks;
  const of = (cache: string): string[] =>
    results.filter((one) => one.cache === cache).map(({ id, mark }) => `${id} ${mark}`);
  expect(of("nas").slice(0, 2)).toEqual(["name ok", "web-server ok"]);
  expect(of("inner").slice(0, 2)).toEqual(["name ok", "web-server ok"]);
  expect(of("locked").slice(0, 2)).toEqual(["name ok", "web-server warning"]);
  expect(of("refused").slice(0, 2)).toEqual(["name ok", "web-server failure"]);
  expect(of("stranger").slice(0, 2)).toEqual(["name ok", "web-server failure"]);
  expect(of("nas").join()).not.toMatch(/sshd|login|far-nix/);
  expect(of("nas")).toEqual(expect.arrayContaining(["signatures skipped", "state ok", "gateway ok"]));
});

/** Asks for the large NAR; resolves when some of it has come. */
async function begunNar(cache: string): Promise<{ readonly whole: ReturnType<typeof ask> }> {
  const before = (await home.cache(cache)).narBytes;
  const whole = get(cache, await narOf(cache, paths.none));
  const sent = async (): Promise<number> => {
    const reply = await askDaemon(
      join(home.runtimeDir, "control.sock"),
      { command: "status" },
      { timeoutMs: 5_000 },
    );
    return reply.ok ? (reply.status.caches[cache]?.narBytes ?? 0) : 0;
  };
  await eventually("some of it has come", async () => (await sent()) > before, 10_000);
  return { whole };
}

test("a NAR that is cut goes on where it was, when the server is back", async () => {
  onTestFailed(() => void process.stderr.write(home.said().slice(-4_000)));
  const { whole } = await begunNar("nas");
  proxy.cut({ refuse: true });
  await untilListed(["nas"]);
  proxy.allow();
  const { status, cut, body } = await whole;
  expect([status, cut]).toEqual([200, false]);
  expect(body.length).toBe((await fixture.far.store.dump(paths.none)).size);
  expect(await home.cache("nas")).toMatchObject({ resumed: 1, abandoned: 0, losses: 1 });
});

test("a NAR that is cut goes on where it was, by the next way to the cache", async () => {
  onTestFailed(() => void process.stderr.write(home.said().slice(-4_000)));
  const { whole } = await begunNar("roaming");
  nearby.cut({ refuse: true });
  const { status, cut, body } = await whole;
  expect([status, cut]).toEqual([200, false]);
  const sha256 = createHash("sha256").update(body).digest("hex");
  expect({ sha256, size: body.length }).toEqual(await fixture.far.store.dump(paths.none));
  expect(await home.cache("roaming")).toMatchObject({
    port: nginx.ports["moved"],
    resumed: 1,
    abandoned: 0,
    losses: 1,
  });
});

test("what stands on another cache's link goes with it, and comes back with it", async () => {
  await sshd.kill("SIGKILL");
  await untilListed(["inner", "pi"]);
  const why = async (): Promise<string | null> => (await home.cache("inner")).reason;
  await expect.poll(why, { timeout: 20_000 }).toMatch(/pi, which it is reached through, is not online/);
  await sshd.restart();
  await untilListed([], 30_000);
  expect((await get("inner", `${hashPart(paths.xz)}.narinfo`)).status).toBe(200);
});

test("paused, it is not there; resumed, it is", async () => {
  await home.run("pause", "nas");
  await untilListed(["nas"]);
  await home.run("resume", "nas");
  await untilListed();
});

test("when the server dies Nix builds on, without a word", async () => {
  const urls = (await Promise.all(["nas", "secure"].map(urlOf))).join(" ");
  await nginx.kill();
  const options = ["--option", "substituters", urls, "--option", "trusted-public-keys", publicKey];
  const out = await laptop.run("nix-build", "--expr", expression, ...buildOptions, ...options);
  expect(out).toContain("built-here");
  await eventually(
    "they are not listed",
    async () => {
      const names = (await home.listed()).map(({ name }) => name);
      return !names.includes("nas") && !names.includes("secure");
    },
    20_000,
  );
  await nginx.start();
  await home.run("resume");
  await untilListed([], 30_000);
});
