// The real daemon as a child process, between a real sshd in front of a real nix-daemon and the programs that use it.

import { createHash } from "node:crypto";
import { once } from "node:events";
import { access, readFile, stat } from "node:fs/promises";
import http from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFailed, test } from "vitest";
import { cacheTable, type DaemonHome, type RunningDaemon } from "../support/daemon.js";
import { type DaemonFixture, makeDaemonFixture } from "../support/daemon-fixture.js";
import { eventually } from "../support/eventually.js";
import { ask } from "../support/http.js";
import { makeStore, type NixStore } from "../support/nix-store.js";
import { freePort, type Sshd } from "../support/sshd.js";

const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string;
const unknownHash = "0".repeat(32);

let fixture: DaemonFixture;
let pi: NixStore;
let laptop: NixStore;
let sshd: Sshd;
let home: DaemonHome;
let daemon: RunningDaemon;
let paths: { readonly small: string; readonly large: string };
let publicKey: string;
/** A daemon of its own that is used once, and then not any more. */
let resting: { readonly home: DaemonHome; readonly sshd: Sshd; readonly usedAt: number };

const hashPart = (path: string): string => path.slice("/nix/store/".length).split("-")[0] ?? "";

/** The path of the URL that is listed, or what it would be. */
async function listedPath(of: DaemonHome): Promise<string> {
  const [entry] = await of.listed();
  return entry === undefined ? "/pi" : new URL(entry.url).pathname;
}

async function get(of: DaemonHome, file: string): ReturnType<typeof ask> {
  return ask(of.port, `${await listedPath(of)}/${file}`);
}

async function narFile(of: DaemonHome, path: string): Promise<string> {
  const { body } = await get(of, `${hashPart(path)}.narinfo`);
  return /^URL: (.*)$/m.exec(body.toString())?.[1] ?? "no URL";
}

async function startResting(): Promise<typeof resting> {
  const [its, itsSshd] = await Promise.all([fixture.home(), fixture.sshd()]);
  await its.configure(cacheTable("pi", fixture.cache(itsSshd, { transport: "stdio" })));
  its.start();
  await its.untilListed(["pi"]);
  expect((await get(its, await narFile(its, paths.small))).status).toBe(200);
  expect(await itsSshd.children()).toContain("nix-daemon");
  return { home: its, sshd: itsSshd, usedAt: Date.now() };
}

beforeAll(async () => {
  fixture = await makeDaemonFixture();
  pi = fixture.far.store;
  laptop = await makeStore();
  paths = {
    small: await pi.addFile("small", "few bytes"),
    large: await pi.addFile("large", Buffer.alloc(48 << 20, "many bytes ")),
  };
  publicKey = await pi.sign("pi-1", paths.small, paths.large);
  sshd = await fixture.sshd();
  home = await fixture.home();
  const dead = fixture.cache(sshd, { port: await freePort() });
  const alive = fixture.cache(sshd, { "public-keys": [publicKey] });
  await home.configure(cacheTable("dead", dead) + cacheTable("pi", alive));
  daemon = home.start();
  resting = await startResting();
});

afterAll(async () => {
  await fixture?.dispose();
  await laptop?.dispose();
});

describe("with one cache in reach and one that is not", () => {
  beforeEach(async () => {
    onTestFailed(() => void process.stderr.write(home.said().slice(-5_000)));
    await home.untilListed(["pi"]);
  });

  test("lists the one, and opens nothing to other users", async () => {
    const [entry] = await home.listed();
    expect(entry?.url).toMatch(new RegExp(`^http://127\\.0\\.0\\.1:${home.port}/pi(/\\d+)?\\?priority=30$`));
    const mode = async (path: string): Promise<string> => ((await stat(path)).mode & 0o7777).toString(8);
    expect(await mode(home.runtimeDir)).toBe("700");
    expect(await mode(join(home.runtimeDir, "control.sock"))).toBe("600");
    expect(await mode(home.socket("pi"))).toBe("600");
    await expect(access(home.socket("dead"))).rejects.toThrow("ENOENT");
  });

  test("status --json is what the documentation says, key by key", async () => {
    await eventually("dead has been tried", async () => (await home.cache("dead")).state === "waiting");
    const version = await pi.run("nix-daemon", "--version");
    const common = {
      type: "ssh",
      host: "127.0.0.1",
      since: time,
      lookups: 0,
      hits: 0,
      narBytes: 0,
      resumed: 0,
      abandoned: 0,
      losses: 0,
      transfers: [],
      unsigned: 0,
      generation: 0,
    };
    const url = (name: string): string => `http://127.0.0.1:${home.port}/${name}/0`;
    expect(await home.status()).toEqual({
      version: 1,
      pid: daemon.pid,
      since: time,
      caches: {
        dead: {
          ...common,
          state: "waiting",
          address: null,
          port: null,
          way: null,
          reason: expect.stringMatching(/^127\.0\.0\.1 does not answer .*ECONNREFUSED/) as string,
          retryAt: expect.toSatisfy((at) => at === null || !Number.isNaN(Date.parse(at as string))) as string,
          listed: false,
          url: url("dead"),
          socket: home.socket("dead"),
          transport: null,
          cipher: null,
          nixVersion: null,
        },
        pi: {
          ...common,
          state: "online",
          address: "127.0.0.1",
          port: sshd.port,
          way: { host: "127.0.0.1", uploads: true },
          reason: null,
          retryAt: null,
          listed: true,
          url: url("pi"),
          socket: home.socket("pi"),
          transport: "socket",
          cipher: expect.stringMatching(/@openssh.com$/) as string,
          nixVersion: version.trim().split(" ").at(-1),
        },
      },
      override: { path: home.overrideFile, listed: ["pi"] },
      uploads: { waiting: 0, uploaded: 0, failed: 0, skipped: 0, targets: {} },
      warnings: [],
    });
  });

  test("status ends with 0, 3 or 4, and with 2 for a cache that is not configured", async () => {
    const code = async (...args: string[]): Promise<number | null> =>
      (await home.run("status", ...args)).code;
    expect(await Promise.all([code(), code("pi"), code("dead", "--quiet"), code("nas")])).toEqual([
      3, 0, 3, 2,
    ]);
    const said = "nix-tether: there is no cache named daed, did you mean dead?\nThe caches are: dead, pi\n";
    for (const command of ["status", "pause", "resume", "connect"]) {
      const { code: ended, stderr } = await home.run(command, "daed");
      expect([ended, stderr.slice(0, said.length)]).toEqual([2, said]);
    }
    const silent = await fixture.home();
    expect(await silent.run("status")).toMatchObject({ code: 4, stdout: "" });
  });

  test("Nix looks up and fetches through the gateway", async () => {
    expect((await get(home, "nix-cache-info")).body.toString()).toContain("StoreDir: /nix/store");
    expect((await get(home, `${unknownHash}.narinfo`)).status).toBe(404);
    const [entry] = await home.listed();
    const options = [
      "--option",
      "substituters",
      entry?.url ?? "",
      "--option",
      "trusted-public-keys",
      publicKey,
    ];
    await laptop.run("nix-store", "-r", paths.small, ...options);
    await laptop.run("nix-store", "--verify-path", paths.small);
    const { size } = await pi.dump(paths.small);
    expect(await home.cache("pi")).toMatchObject({ hits: 1, narBytes: size });
    expect((await home.cache("dead")).lookups).toBe(0);
  });

  test("Nix reaches the far daemon through the forward", async () => {
    const url = `unix://${home.socket("pi")}`;
    await laptop.run("nix", "store", "ping", "--store", url);
    expect((await laptop.run("nix", "path-info", "--store", url, paths.small)).trim()).toBe(paths.small);
  });

  test("pause takes it away, resume brings it back", async () => {
    expect(await home.run("pause", "pi")).toMatchObject({ code: 0, stderr: "" });
    expect(await home.listed()).toEqual([]);
    await expect(access(home.socket("pi"))).rejects.toThrow("ENOENT");
    expect(await home.cache("pi")).toMatchObject({ state: "paused", listed: false, address: null });
    expect((await home.run("status", "pi", "--quiet")).code).toBe(3);
    expect((await get(home, `${hashPart(paths.large)}.narinfo`)).status).toBe(404);
    expect((await home.run("resume", "pi")).code).toBe(0);
    await home.untilListed(["pi"]);
  });

  test("a second daemon says that there is a first, and leaves it alone", async () => {
    const before = await readFile(home.overrideFile, "utf8");
    const { code, stderr } = await home.run("run");
    expect(code).toBe(5);
    expect(stderr).toContain(`a daemon is running already (pid ${daemon.pid})`);
    expect(await readFile(home.overrideFile, "utf8")).toBe(before);
    expect((await home.status()).pid).toBe(daemon.pid);
    await access(home.socket("pi"));
  });

  test("sshd dies: unlisted; it runs again: listed", async () => {
    await sshd.kill("SIGKILL");
    await home.untilListed([], 5_000);
    await eventually("it waits", async () => (await home.cache("pi")).state === "waiting");
    expect(await home.cache("pi")).toMatchObject({ listed: false, address: null, transport: null });
    expect((await home.cache("pi")).reason).toContain("does not answer");
    await expect(access(home.socket("pi"))).rejects.toThrow("ENOENT");
    await sshd.restart();
    await home.untilListed(["pi"]);
  });

  test("sshd goes silent: lookups are answered, and within 10 s it is unlisted", async () => {
    await sshd.kill("SIGSTOP");
    const silentAt = Date.now();
    try {
      expect((await get(home, `${unknownHash}.narinfo`)).status).toBe(404);
      expect(Date.now() - silentAt).toBeLessThan(3_000);
      await home.untilListed([]);
      expect(Date.now() - silentAt).toBeLessThan(10_000);
      expect((await home.cache("pi")).state).not.toBe("online");
    } finally {
      await sshd.kill("SIGCONT");
    }
    await home.untilListed(["pi"], 20_000);
  });
});

describe("at its end", () => {
  let leaver: DaemonHome;
  let leaving: RunningDaemon;

  beforeEach(async () => {
    leaver = await fixture.home();
    await leaver.configure(cacheTable("pi", fixture.cache(sshd)));
    leaving = leaver.start();
    await leaver.untilListed(["pi"]);
  });

  test("SIGTERM unlists at once, lets a NAR finish, and leaves nothing", async () => {
    const { sha256, size } = await pi.dump(paths.large);
    const path = `${await listedPath(leaver)}/${await narFile(leaver, paths.large)}`;
    const request = http.get({ host: "127.0.0.1", port: leaver.port, path, agent: false });
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    leaving.kill("SIGTERM");
    await leaver.untilListed([], 5_000);
    // Nobody has read any of it yet, and 48 MiB fit into no buffer on the way.
    expect(await Promise.race([leaving.ended, sleep(500, "it waits")])).toBe("it waits");
    expect(response.complete).toBe(false);
    const hash = createHash("sha256");
    let length = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      hash.update(chunk);
      length += chunk.length;
    }
    expect({ sha256: hash.digest("hex"), size: length }).toEqual({ sha256, size });
    expect((await leaving.ended).code).toBe(0);
    await expect(access(join(leaver.runtimeDir, "control.sock"))).rejects.toThrow("ENOENT");
    await expect(access(leaver.socket("pi"))).rejects.toThrow("ENOENT");
    await expect(ask(leaver.port, "/pi/nix-cache-info")).rejects.toThrow("ECONNREFUSED");
    expect((await leaver.run("status")).code).toBe(4);
  });

  test("SIGKILL leaves it listed; unlist empties, and the next daemon is not held up by what is left", async () => {
    leaving.kill("SIGKILL");
    await leaving.ended;
    expect(await leaver.listed()).toHaveLength(1);
    expect(await leaver.run("unlist")).toMatchObject({ code: 0, stdout: "unlisted pi\n" });
    expect(await leaver.listed()).toEqual([]);
    expect(await leaver.run("unlist")).toEqual({ code: 0, stdout: "", stderr: "" });
    leaver.start();
    await leaver.untilListed(["pi"]);
  });
});

test("30 s after its last use, nothing of it runs on the far side but ssh", async () => {
  await sleep(Math.max(0, resting.usedAt + 30_000 - Date.now()));
  expect(await resting.home.cache("pi")).toMatchObject({ state: "online", listed: true, hits: 1 });
  expect(await resting.sshd.children()).not.toContain("nix-daemon");
});
