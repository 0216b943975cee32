import { describe, expect, it } from "vitest";
import type { CacheLink } from "../../src/daemon/cache-link.js";
import { waysOf } from "../../src/daemon/cache-ways.js";
import { statusLine, statusReport, type CacheFacts } from "../../src/daemon/status.js";
import { createWarnings } from "../../src/daemon/warnings.js";
import type { CacheState } from "../../src/decision/state.js";
import type { PathInfo } from "../../src/protocol/path-info.js";
import pino from "pino";
import { cacheConfig } from "../support/cache-config.js";
import { common, onlineState } from "../support/states.js";

const stats = { lookups: 7, hits: 5, narBytes: 1234, resumed: 0, abandoned: 2, unsigned: 1 };
const connection = { address: "192.168.1.20", port: 22, localAddress: "192.168.1.5" };
const online: CacheState = onlineState(1, { since: 1000, connection });
const refused = { code: "unreachable", text: "nas refuses connections on port 22", remedy: undefined };
const waiting = (failure: typeof refused | { code: string; text: string; remedy: string }): CacheState => ({
  ...common,
  name: "waiting",
  attempt: 3,
  since: 2000,
  failure,
  failedAt: 8000,
  tries: 3,
  look: { kind: "later", at: 9000 },
});

const info: PathInfo = {
  path: "/nix/store/00000000000000000000000000000000-hello",
  narHash: "",
  narSize: 120,
  references: [],
  deriver: null,
  signatures: [],
  ca: null,
};

function facts(state: CacheState): CacheFacts {
  const cipher = "aes128-gcm@openssh.com";
  const link = { transport: "socket", cipher, nixVersion: "2.31.2" } as CacheLink;
  return {
    type: "ssh",
    host: "raspberrypi.local",
    ways: waysOf(cacheConfig({ host: "raspberrypi.local" })),
    trusted: true,
    state,
    link: state.name === "online" ? link : null,
    listed: state.name === "online",
    url: "http://127.0.0.1:37515/pi/3",
    generation: 3,
    socket: "/run/user/1000/nix-tether/pi.sock",
    stats,
    losses: 4,
    transfers: [{ info, hashPart: "", from: 0, since: 5000, at: 12, waiting: true }],
  };
}

const report = (state: CacheState) => reportOf(facts(state));
const reportOf = (cache: CacheFacts) =>
  statusReport({
    pid: 4242,
    since: 0,
    caches: new Map([["pi", cache]]),
    overridePath: "/home/ada/.config/nix/nix-tether.conf",
    listed: cache.listed ? ["pi"] : [],
    uploads: { waiting: 0, uploaded: 0, failed: 0, skipped: 0, targets: {} },
    warnings: [],
  });

describe("status --json, version 1", () => {
  it("of a cache that is reached by another way than the first", () => {
    const ways = waysOf(
      cacheConfig({
        host: "raspberrypi.local",
        ways: [{ host: "pi.vpn", uploads: false, "only-when-asked": false }],
      }),
    );
    const state = onlineState(2, { way: 1 });
    const told = reportOf({ ...facts(state), ways }).caches["pi"];
    expect(told).toMatchObject({ host: "raspberrypi.local", way: { host: "pi.vpn", uploads: false } });
    expect(report(waiting(refused)).caches["pi"]?.way).toBeNull();
  });

  it("of a cache that is online", () => {
    expect(report(online)).toEqual({
      version: 1,
      pid: 4242,
      since: "1970-01-01T00:00:00.000Z",
      caches: {
        pi: {
          type: "ssh",
          state: "online",
          host: "raspberrypi.local",
          address: "192.168.1.20",
          port: 22,
          way: { host: "raspberrypi.local", uploads: true },
          since: "1970-01-01T00:00:01.000Z",
          reason: null,
          retryAt: null,
          listed: true,
          url: "http://127.0.0.1:37515/pi/3",
          generation: 3,
          socket: "/run/user/1000/nix-tether/pi.sock",
          transport: "socket",
          cipher: "aes128-gcm@openssh.com",
          nixVersion: "2.31.2",
          ...stats,
          losses: 4,
          transfers: [
            { path: info.path, size: 120, sent: 12, since: "1970-01-01T00:00:05.000Z", waiting: true },
          ],
        },
      },
      override: { path: "/home/ada/.config/nix/nix-tether.conf", listed: ["pi"] },
      uploads: { waiting: 0, uploaded: 0, failed: 0, skipped: 0, targets: {} },
      warnings: [],
    });
  });

  it("of one that waits: why, and until when", () => {
    const { caches, warnings } = report(waiting(refused));
    expect(caches["pi"]).toMatchObject({
      state: "waiting",
      reason: "nas refuses connections on port 22",
      retryAt: "1970-01-01T00:00:09.000Z",
      address: null,
      transport: null,
    });
    expect(warnings).toEqual([]);
  });

  it.each([
    { code: "unreachable", text: "pi does not answer", remedy: "Check that it is switched on." },
    { code: "ssh-timeout", text: "SSH was not ready after 6 s", remedy: undefined },
  ])("does not warn of what passes by itself: $code", (failure) => {
    expect(report(waiting(failure)).warnings).toEqual([]);
  });

  it("names what a person must mend as a warning, with what to do", () => {
    const failure = { code: "agent-empty", text: "The ssh-agent holds no key", remedy: "Run `ssh-add`." };
    expect(report(waiting(failure)).warnings).toEqual([
      {
        code: "agent-empty",
        cache: "pi",
        text: "The ssh-agent holds no key. Run `ssh-add`.",
        since: "1970-01-01T00:00:02.000Z",
      },
    ]);
  });
});

it("systemd's line tells every cache's story in one sentence", () => {
  const states = new Map<string, CacheState>([
    ["pi", online],
    ["nas", waiting(refused)],
    ["old", { ...common, name: "paused" }],
  ]);
  const told = "pi online at 192.168.1.20; nas waiting: nas refuses connections on port 22; old paused";
  expect(statusLine(states, null)).toBe(told);
  expect(statusLine(states, "port 37515 is taken")).toBe(`nothing is listed: port 37515 is taken; ${told}`);
  expect(statusLine(new Map(), null)).toBe("no caches configured");
});

it("a warning keeps the time it began, takes the newest words and goes when cleared", () => {
  let now = 1000;
  const warnings = createWarnings({ log: pino({ level: "silent" }), now: () => now });
  warnings.raise("override-unwritable", null, "no space");
  now = 2000;
  warnings.raise("override-unwritable", null, "read-only");
  warnings.raise("forward-closed", "pi", "path too long");
  expect(warnings.list()).toEqual([
    { code: "override-unwritable", cache: null, text: "read-only", since: "1970-01-01T00:00:01.000Z" },
    { code: "forward-closed", cache: "pi", text: "path too long", since: "1970-01-01T00:00:02.000Z" },
  ]);
  warnings.clear("override-unwritable", null);
  expect(warnings.list().map((warning) => warning.code)).toEqual(["forward-closed"]);
});
