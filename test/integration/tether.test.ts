// The effects of one cache on a real SSH link: what is taken into use and given up, and in which order.

import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { SshCacheConfig } from "../../src/config/schema.js";
import { waysOf } from "../../src/daemon/cache-ways.js";
import { findBySsh } from "../../src/daemon/find-ssh.js";
import { createTether, type Tether } from "../../src/daemon/tether.js";
import type { Desired } from "../../src/decision/desired.js";
import type { CacheEvent } from "../../src/sources/event.js";
import { handshakeDaemon } from "../../src/upstream/handshake-daemon.js";
import type { Upstream } from "../../src/upstream/upstream.js";
import { noProcessors } from "../support/processors.js";
import { cacheConfig } from "../support/cache-config.js";
import { HOST, makeLinkFixture, type LinkFixture } from "../support/link-fixture.js";
import { silentLog } from "../support/silent-log.js";

let fixture: LinkFixture;
const undo: (() => Promise<void>)[] = [];
beforeAll(async () => void (fixture = await makeLinkFixture()));
afterEach(async () => {
  for (const step of undo.splice(0)) await step();
  await fixture.endTest();
});
afterAll(() => fixture.dispose());

const nothing: Desired = {
  attempt: null,
  ways: [],
  link: null,
  listed: false,
  probe: false,
  awaited: true,
  wakeAt: null,
};

interface Watched {
  readonly tether: Tether;
  /** What was done, in order. */
  readonly journal: string[];
  readonly posted: CacheEvent[];
  /** Resolves when an event of that type has been posted. */
  untilPosted(type: CacheEvent["type"]): Promise<void>;
}

/** A tether to a real sshd, between a gateway, an upstream and a forward that write down what becomes of them. */
async function makeTether(
  openForward?: () => Promise<never>,
  more: Partial<SshCacheConfig> = {},
): Promise<Watched> {
  const sshd = await fixture.sshd();
  const journal: string[] = [];
  const posted: CacheEvent[] = [];
  const config = cacheConfig({
    host: HOST,
    port: sshd.port,
    "known-hosts": fixture.knownHosts,
    "remote-socket": fixture.daemonSocket,
    ...more,
  });
  const upstream = { close: () => journal.push("upstream closed") } as unknown as Upstream;
  const find = findBySsh({
    name: "pi",
    processors: noProcessors,
    isMetered: async () => null,
    configs: waysOf(config).map((way) => way.config),
    env: { PATH: process.env["PATH"], HOME: fixture.dir, SSH_AUTH_SOCK: fixture.agent.socket },
    log: silentLog,
    handshake: handshakeDaemon,
    discovery: {
      lookup: () =>
        Promise.resolve({ endpoints: [{ address: sshd.address, family: 4 }], how: "resolver" as const }),
    },
  });
  const tether = createTether({
    name: "pi",
    ways: waysOf(config),
    find: async (...args) => {
      const found = await find(...args);
      if (typeof found === "string") return found;
      return {
        ...found,
        connect: async () => ({ ...(await found.connect()), openUpstream: () => upstream }),
      };
    },
    log: silentLog,
    discovery: { watch: () => () => undefined },
    gateway: {
      setUpstream: (_cache: string, given: Upstream | null) =>
        journal.push(given === null ? "gateway: not here" : "gateway: upstream"),
    } as never,
    uploads: {
      start: () => journal.push("uploads started"),
      stop: () => {
        journal.push("uploads stopped");
        return Promise.resolve();
      },
    },
    openForward:
      openForward ??
      (() => {
        journal.push("forward listens");
        return Promise.resolve({
          connections: 0,
          sent: 0,
          stands: () => Promise.resolve(true),
          close: () => Promise.resolve(void journal.push("forward closed")),
        });
      }),
    beginRechecks: () => ({
      settled: null,
      denied: () => undefined,
      uploaded: () => undefined,
      now: () => Promise.resolve(),
      end: () => undefined,
    }),
    socketPath: "/nonexistent",
    post: (fact) => {
      posted.push(fact);
      if (fact.type === "closed") journal.push("link closed");
    },
    warnForward: (error) => journal.push(error === null ? "no warning" : "warning"),
    now: Date.now,
    network: () => ({ interfaces: [] }),
  });
  undo.push(() => tether.close());
  const untilPosted = (type: CacheEvent["type"]): Promise<void> =>
    expect.poll(() => posted.map((fact) => fact.type), { timeout: 20_000 }).toContain(type);
  return { tether, journal, posted, untilPosted };
}

test("comes up from the gateway to the forward, and goes down from the forward to the link", async () => {
  const { tether, journal, untilPosted } = await makeTether();
  await tether.follow({ ...nothing, attempt: 1, ways: [0] });
  await untilPosted("connected");
  expect(journal).toEqual([]);
  expect(tether.link()).toBeNull();

  await tether.follow({ ...nothing, link: 1 });
  tether.startUploads();
  expect(journal).toEqual(["gateway: upstream", "forward listens", "no warning", "uploads started"]);
  expect(tether.link()).toMatchObject({ transport: "socket" });
  expect(tether.leaves({ ...nothing, link: 1 })).toBe(false);
  expect(tether.leaves(nothing)).toBe(true);

  journal.length = 0;
  await tether.takeDown();
  await untilPosted("closed");
  expect(journal).toEqual([
    "uploads stopped",
    "forward closed",
    "gateway: not here",
    "upstream closed",
    "link closed",
  ]);
  expect(tether.link()).toBeNull();
});

test("without its forward the cache is of use all the same, and a warning says so", async () => {
  const { tether, journal, untilPosted } = await makeTether(() => Promise.reject(new Error("no room")));
  await tether.follow({ ...nothing, attempt: 1, ways: [0] });
  await untilPosted("connected");
  await tether.follow({ ...nothing, link: 1 });
  tether.startUploads();
  expect(journal).toEqual(["gateway: upstream", "warning", "uploads stopped"]);
  expect(tether.link()).not.toBeNull();
});

test("a link that came when it was wanted no more is closed and never used", async () => {
  const { tether, journal, untilPosted } = await makeTether();
  await tether.follow({ ...nothing, attempt: 1, ways: [0] });
  await untilPosted("connected");
  await tether.follow(nothing);
  await untilPosted("closed");
  expect(journal).toEqual(["link closed"]);
});

test("a look for a better way goes on beside the link, which is in use until the better one is; each uploads or not", async () => {
  const lesser = { host: HOST, uploads: false, "only-when-asked": false };
  const { tether, journal, posted, untilPosted } = await makeTether(undefined, { ways: [lesser] });
  await tether.follow({ ...nothing, attempt: 1, ways: [1] });
  await untilPosted("connected");
  await tether.follow({ ...nothing, link: 1 });
  tether.startUploads();
  expect(journal).toEqual(["gateway: upstream", "forward listens", "no warning"]);

  journal.length = 0;
  const beside: Desired = { ...nothing, link: 1, attempt: 2, ways: [0] };
  expect(tether.leaves(beside)).toBe(false);
  await tether.follow(beside);
  const seconds = (): CacheEvent[] =>
    posted.filter((fact) => fact.type === "connected" && fact.attempt === 2);
  await expect.poll(seconds, { timeout: 20_000 }).toMatchObject([{ way: 0 }]);
  expect(journal).toEqual([]);
  expect(tether.link()).not.toBeNull();

  const replaced: Desired = { ...nothing, link: 2 };
  expect(tether.leaves(replaced)).toBe(true);
  await tether.takeDown();
  await tether.follow(replaced);
  tether.startUploads();
  await untilPosted("closed");
  expect(journal.filter((line) => line !== "link closed")).toEqual([
    "uploads stopped",
    "forward closed",
    "gateway: not here",
    "upstream closed",
    "gateway: upstream",
    "forward listens",
    "no warning",
    "uploads started",
  ]);
});

test("a try that is called off tells nothing more", async () => {
  const { tether, posted } = await makeTether();
  await tether.follow({ ...nothing, attempt: 1, ways: [0] });
  await tether.follow({ ...nothing, attempt: 2, ways: [0] });
  await expect.poll(() => posted.map((fact) => fact.type), { timeout: 20_000 }).toContain("connected");
  expect(posted.filter((fact) => "attempt" in fact && fact.attempt === 1)).toEqual([]);
});
