// /metrics of a real daemon, read by curl: by its user, by one who was named for it, and by others.

import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { cacheTable, type DaemonHome } from "../support/daemon.js";
import { type DaemonFixture, makeDaemonFixture, nobody } from "../support/daemon-fixture.js";
import { parsePrometheusText } from "../support/prometheus-text.js";

const run = promisify(execFile);

/** A user that exists everywhere and has nothing to do with the others. */
const daemonUser = 1;

let fixture: DaemonFixture;
let home: DaemonHome;

/** The status and the body that a user gets. */
async function get(uid: number, path: string, ...more: string[]): Promise<[number, string]> {
  const as = ["--reuid", String(uid), "--regid", String(uid), "--clear-groups"];
  const curl = ["curl", "--silent", "--max-time", "10", "--write-out", "%{http_code}"];
  const { stdout } = await run("setpriv", [...as, ...curl, ...more, `http://127.0.0.1:${home.port}${path}`]);
  return [Number(stdout.slice(-3)), stdout.slice(0, -3)];
}

beforeAll(async () => {
  fixture = await makeDaemonFixture();
  const sshd = await fixture.sshd();
  home = await fixture.home({ uid: nobody, env: { SSH_AUTH_SOCK: "/nowhere" } });
  const users = 'metrics-users = ["daemon", "who-is-this"]\n';
  const pi = fixture.cache(sshd, { "identity-file": join(home.dir, "id") });
  await home.configure(users + cacheTable("pi", pi));
  home.start();
  await home.untilListed(["pi"]);
});

afterAll(() => fixture?.dispose());

test("is what Prometheus reads, and follows what happens", async () => {
  const [, head] = await get(nobody, "/metrics", "--head");
  expect(head).toMatch(/^content-type: text\/plain; version=0\.0\.4; charset=utf-8\r$/im);
  const sample = async (name: string, labels: string): Promise<number | undefined> => {
    const [status, text] = await get(nobody, "/metrics");
    expect(status).toBe(200);
    return parsePrometheusText(text).get(name)?.samples.get(labels);
  };
  expect(await sample("nix_tether_cache_state", '{cache="pi",state="online"}')).toBe(1);
  expect(await sample("nix_tether_lookups_total", '{cache="pi"}')).toBe(0);
  await get(nobody, `/pi/0/${"0".repeat(32)}.narinfo`);
  expect(await sample("nix_tether_lookups_total", '{cache="pi"}')).toBe(1);
  expect(await sample("nix_tether_lookup_hits_total", '{cache="pi"}')).toBe(0);
  await home.run("pause", "pi");
  expect(await sample("nix_tether_cache_state", '{cache="pi",state="online"}')).toBe(0);
  expect(await sample("nix_tether_cache_state", '{cache="pi",state="paused"}')).toBe(1);
});

test("is for the user and those who are named, the rest for the user alone", async () => {
  const status = async (uid: number, path: string): Promise<number> => (await get(uid, path))[0];
  expect(await status(daemonUser, "/metrics")).toBe(200);
  expect(await status(0, "/metrics")).toBe(403);
  for (const path of ["/", "/status.json", "/script.js"]) {
    expect([path, await status(nobody, path)]).toEqual([path, 200]);
    expect([path, await status(daemonUser, path)]).toEqual([path, 403]);
    expect([path, await status(0, path)]).toEqual([path, 403]);
  }
  expect(JSON.parse((await get(nobody, "/status.json"))[1])).toMatchObject({ version: 1 });
});

test("a user that there is not is a warning", async () => {
  const { warnings } = await home.status();
  expect(warnings.find(({ code }) => code === "metrics-user-unknown")?.text).toContain("who-is-this");
});
