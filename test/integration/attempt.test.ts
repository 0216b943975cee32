// A try at a cache against real sshds, one of which is a stranger that goes by the machine's name.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { attemptCache } from "../../src/daemon/attempt.js";
import type { CacheLink } from "../../src/daemon/cache-link.js";
import { waysOf } from "../../src/daemon/cache-ways.js";
import { findBySsh } from "../../src/daemon/find-ssh.js";
import type { Endpoint } from "../../src/link/link.js";
import type { Discovery } from "../../src/sources/discovery.js";
import type { CacheEvent } from "../../src/sources/event.js";
import { handshakeDaemon } from "../../src/upstream/handshake-daemon.js";
import { noProcessors } from "../support/processors.js";
import { cacheConfig } from "../support/cache-config.js";
import { HOST, makeLinkFixture, type LinkFixture } from "../support/link-fixture.js";
import { silentLog } from "../support/silent-log.js";

const stranger: Endpoint = { address: "127.61.0.66", family: 4 };
const pi: Endpoint = { address: "127.61.0.22", family: 4 };

let fixture: LinkFixture;
beforeAll(async () => void (fixture = await makeLinkFixture()));
afterEach(() => fixture.endTest());
afterAll(() => fixture.dispose());

interface Outcome {
  readonly link: CacheLink | null;
  readonly way: number | null;
  readonly posted: CacheEvent[];
}

/** One try where `quick` answer at once and `late` only to who listens longer. */
function attempt(quick: readonly Endpoint[], late: readonly Endpoint[]): Promise<Outcome> {
  return attemptBy([HOST], (_host, thorough) => (thorough ? [...quick, ...late] : quick));
}

/** One try by several hosts, of which `where` says who answers. */
async function attemptBy(
  [host = "", ...others]: readonly string[],
  where: (host: string, thorough: boolean) => readonly Endpoint[],
): Promise<Outcome> {
  const config = cacheConfig({
    host,
    "known-hosts": fixture.knownHosts,
    "remote-socket": fixture.daemonSocket,
    ways: others.map((other) => ({ host: other, uploads: true, "only-when-asked": false })),
  });
  const posted: CacheEvent[] = [];
  const discovery: Discovery = {
    lookup: (target, _signal, options) =>
      Promise.resolve({ how: "mdns", endpoints: where(target.host, options?.thorough === true) }),
    watch: () => () => undefined,
    refresh: () => undefined,
    close: () => Promise.resolve(),
  };
  const reached = await attemptCache(
    1,
    waysOf(config).map((_, index) => index),
    {
      find: findBySsh({
        name: "pi",
        processors: noProcessors,
        isMetered: async () => null,
        configs: waysOf(config).map((way) => way.config),
        discovery,
        handshake: handshakeDaemon,
        env: fixture.env,
        log: silentLog,
      }),
      post: (fact) => posted.push(fact),
      onTarget: () => undefined,
    },
    new AbortController().signal,
  );
  reached?.link.close();
  return { link: reached?.link ?? null, way: reached?.way ?? null, posted };
}

test("a stranger that answers first does not hide the machine", async () => {
  const other = await fixture.sshd({ ...stranger, port: 22, config: ["LogLevel DEBUG1"] });
  await fixture.sshd({ ...pi, port: 22 });
  const { link, posted } = await attempt([stranger], [pi]);
  expect(link?.address).toBe(pi.address);
  expect(posted.map(({ type }) => type)).toEqual(["found"]);
  expect(other.log()).toContain("Connection from");
  expect(other.log()).not.toMatch(/userauth|publickey/);
});

test("a stranger alone is refused by name, and asked once", async () => {
  const other = await fixture.sshd({ ...stranger, port: 22 });
  await fixture.sshd({ ...pi, port: 22 });
  const { link, posted } = await attempt([stranger], []);
  expect(link).toBeNull();
  expect(posted).toMatchObject([
    { type: "found" },
    { type: "failed", failure: { code: "host-key-changed" } },
  ]);
  expect(other.log().match(/Connection from/g)).toHaveLength(1);
});

describe("another way to the machine", () => {
  const vpn = "pi.vpn";

  test("is gone when it is not there by the first; its host key is known by the first's name", async () => {
    await fixture.sshd({ ...pi, port: 22 });
    const { link, way, posted } = await attemptBy([HOST, vpn], (host) => (host === vpn ? [pi] : []));
    expect({ way, address: link?.address }).toEqual({ way: 1, address: pi.address });
    expect(posted.map(({ type }) => type)).toEqual(["found"]);
  });

  test("is gone when somebody else goes by the first's name", async () => {
    await fixture.sshd({ ...stranger, port: 22 });
    await fixture.sshd({ ...pi, port: 22 });
    const { way, posted } = await attemptBy([HOST, vpn], (host) => [host === vpn ? pi : stranger]);
    expect(way).toBe(1);
    expect(posted.map(({ type }) => type)).toEqual(["found", "found"]);
  });

  test("is not gone to a stranger, and what the first says counts for more", async () => {
    await fixture.sshd({ ...stranger, port: 22 });
    await fixture.sshd({ ...pi, port: 22 });
    const alone = await attemptBy([HOST, vpn], (host) => (host === vpn ? [stranger] : []));
    expect(alone.posted).toMatchObject([
      { type: "found" },
      { type: "failed", failure: { code: "host-key-unknown", text: expect.stringContaining(vpn) as string } },
    ]);
    const both = await attemptBy([HOST, vpn], () => [stranger]);
    expect(both.posted.at(-1)).toMatchObject({ type: "failed", failure: { code: "host-key-changed" } });
  });

  test("is told of too when nobody is there", async () => {
    const { posted } = await attemptBy([HOST, vpn], () => []);
    const text = `${HOST} does not answer on this network; ${vpn} does not answer on this network`;
    expect(posted).toEqual([{ type: "absent", attempt: 1, text }]);
  });
});
