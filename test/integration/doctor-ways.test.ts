// The doctor and `trust` where a machine is reached by several ways, some of which are for other networks or wait to be
// asked for: real sshds, and a daemon that goes one of the ways.

import { once } from "node:events";
import { appendFile, writeFile } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from "vitest";
import type { Result } from "../../src/doctor/check.js";
import { askConnections } from "../../src/sources/netmon/ask-connections.js";
import { cacheTable, type DaemonHome } from "../support/daemon.js";
import { makeDaemonFixture, type DaemonFixture } from "../support/daemon-fixture.js";
import { createBus } from "../support/netmon-lab.js";
import type { Sshd } from "../support/sshd.js";
import { startWifi } from "../support/wifi.js";

let fixture: DaemonFixture;
let sshd: Sshd;
let home: DaemonHome;

beforeAll(async () => {
  fixture = await makeDaemonFixture();
  sshd = await fixture.sshd();
});
afterAll(() => fixture?.dispose());
beforeEach(async () => {
  home = await fixture.home({ env: { NIX_TETHER_LOG: "silent", LANG: "C.UTF-8" } });
});

/** `[[caches.pi.ways]]` come after all else. */
async function configure(
  cache: Record<string, unknown>,
  ...ways: readonly Record<string, unknown>[]
): Promise<void> {
  const tables = ways.map((way) => cacheTable("pi.ways", way).replace(/^(\[.*\])$/m, "[$1]"));
  await home.configure([cacheTable("pi", fixture.cache(sshd, cache)), ...tables].join(""));
}

/** What concerns the machine: `WAY ID MARK: TEXT`, and which of that must be mended. */
async function diagnose(...which: string[]): Promise<{ lines: string[]; failed: string[] }> {
  const { stdout, stderr } = await home.run("doctor", "--json", ...which);
  expect(stderr).toBe("");
  const { checks } = JSON.parse(stdout) as { checks: Result[] };
  const end = checks.findIndex(({ id }) => id === "include");
  const own = checks.slice(1, end).map(({ id, way, mark, text }) => ({
    mark,
    line: `${way ?? "all"} ${id} ${mark}: ${text}`,
  }));
  return {
    lines: own.map(({ line }) => line),
    failed: own.filter(({ mark }) => mark === "failure").map(({ line }) => line),
  };
}

const elsewhere = { networks: ["gateway:203.0.113.9"] };

test("one that leads there is enough, where the others are away or for other networks", async () => {
  await configure(
    { host: "pi.invalid" },
    { host: "other.invalid", ...elsewhere },
    { host: sshd.address, port: sshd.port },
  );
  const { lines, failed } = await diagnose();
  expect(failed).toEqual([]);
  expect(lines.filter((line) => / skipped: /.test(line))).toEqual([
    "pi.invalid name skipped: the name pi.invalid does not resolve here; it is reached by another way",
    expect.stringMatching(
      /^other\.invalid way skipped: not tried on this network \(.*\): only on gateway:203\.0\.113\.9$/,
    ),
  ]);
  expect(lines.map((line) => line.replace(/: .*/, ""))).toEqual(
    expect.arrayContaining([`${sshd.address} transport ok`, "all far-nix ok"]),
  );
  const { stdout } = await home.run("doctor");
  expect(stdout).toContain(`✓ ${sshd.address}: Login: root is let in`);
  expect(stdout).toContain("✓ Far nix-daemon: ");
});

test("away by all of them, it is to be looked for by each", async () => {
  await configure({ host: "pi.invalid" }, { host: "pi2.invalid" });
  const { failed } = await diagnose();
  expect(failed.map((line) => line.replace(/: .*/, ""))).toEqual([
    "pi.invalid name failure",
    "pi2.invalid name failure",
  ]);
});

test("for other networks only, nothing is looked for, and nothing is to be mended", async () => {
  await configure({ host: "pi.invalid", ...elsewhere });
  expect((await diagnose()).lines).toEqual([
    expect.stringMatching(/^all way skipped: not tried on this network/),
    "all far-nix skipped: waits for: Way",
  ]);
  expect(await home.run("trust", "pi")).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("pi is not tried on this network"),
  });
});

test("another host key on a lesser way is to be looked into, though the first one leads there", async () => {
  const other = await fixture.far.sshd();
  const line = sshd.knownHostsLine(sshd.address);
  const file = join(home.dir, "known_hosts");
  await writeFile(file, `${line}\n${line.replace(String(sshd.port), String(other.port))}\n`);

  await configure({ "known-hosts": file }, { host: other.address, port: other.port });
  const { failed } = await diagnose();
  expect(failed).toEqual([
    expect.stringMatching(/^127\.0\.0\.1 \(2\) host-key failure: .*not the one in known_hosts/),
  ]);
});

test("a way that waits to be asked for is looked at without a login, until it is gone", async () => {
  await configure({ "only-when-asked": true });
  const daemon = home.start();
  await expect.poll(async () => (await home.cache("pi")).state, { timeout: 10_000 }).toBe("offline");
  const { lines, failed } = await diagnose();
  expect(failed).toEqual([]);
  expect(lines.map((line) => line.replace(/: .*/, ""))).toEqual([
    "all way skipped",
    "all ssh-config ok",
    "all agent ok",
    "all name ok",
    "all sshd ok",
    "all host-key ok",
    "all far-nix skipped",
  ]);
  await home.run("connect", "pi");
  await home.untilListed(["pi"]);
  const asked = await diagnose();
  expect(asked.lines[0]).toBe("all way ok: only when you ask for it, as you have");
  expect(asked.lines).toContainEqual(expect.stringMatching(/^all login ok: root is let in/));
  daemon.kill("SIGTERM");
  await daemon.ended;
});

test("trust goes on to the next way where the machine is not there by the first", async () => {
  const file = join(home.dir, "known_hosts");
  await writeFile(file, "");
  await configure({ host: "pi.invalid", "known-hosts": file }, { host: sshd.address, port: sshd.port });
  const [, print = ""] = /(SHA256:\S+) at/.exec((await diagnose()).failed.join("\n")) ?? [];
  expect(await home.run("trust", "pi", "--fingerprint", print)).toMatchObject({ code: 0, stderr: "" });
  expect((await diagnose()).failed).toEqual([]);
  expect((await home.run("trust", "pi")).stdout).toContain(`host key of ${sshd.address} is known already`);
});

test("a cache on a web server is looked at through another cache's machine, by whichever way leads there", async () => {
  const server = http.createServer((request, response) => {
    if (request.url !== "/cache/nix-cache-info") response.writeHead(404);
    response.end("StoreDir: /nix/store\n");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/cache`;
  await configure({ host: "pi.invalid" }, { host: sshd.address, port: sshd.port });
  const file = join(home.dir, "config/nix-tether/config.toml");
  await appendFile(file, cacheTable("web", { type: "http", url, via: "pi" }));
  const { lines, failed } = await diagnose("web");
  expect(failed).toEqual([]);
  expect(lines).toEqual([
    "all name ok: 127.0.0.1, to be looked up by the machine of pi",
    "all web-server ok: answers through pi as a binary cache",
  ]);
});

test("NetworkManager is asked for the names of its connections, where it runs", async () => {
  const bus = await createBus();
  const { signal } = new AbortController();
  try {
    expect(await askConnections(signal, bus.address)).toEqual([]);
    const wifi = await startWifi(bus.address, { name: "Our Wi-Fi", ssid: "Käfig", on: "wlan0" });
    expect(await askConnections(signal, bus.address)).toEqual([
      { name: "Our Wi-Fi", ssid: "Käfig", interfaces: ["wlan0"] },
    ]);
    wifi.stop();
  } finally {
    await bus.remove();
  }
  expect(await askConnections(signal, bus.address)).toEqual([]);
});
