// A try at a cache against real sshds, one of which is a stranger that goes by the machine's name.

import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { CacheConfig } from "../../src/config/schema.js";
import { attemptCache } from "../../src/daemon/attempt.js";
import type { Endpoint, SshLink } from "../../src/link/link.js";
import type { Discovery } from "../../src/sources/discovery.js";
import type { CacheEvent } from "../../src/sources/event.js";
import { handshakeDaemon } from "../../src/upstream/handshake-daemon.js";
import { HOST, makeLinkFixture, type LinkFixture } from "../support/link-fixture.js";
import { silentLog } from "../support/silent-log.js";

const stranger: Endpoint = { address: "127.61.0.66", family: 4 };
const pi: Endpoint = { address: "127.61.0.22", family: 4 };

let fixture: LinkFixture;
beforeAll(async () => void (fixture = await makeLinkFixture()));
afterEach(() => fixture.endTest());
afterAll(() => fixture.dispose());

/** One try where `quick` answer at once and `late` only to who listens longer. */
async function attempt(
  quick: readonly Endpoint[],
  late: readonly Endpoint[],
): Promise<{ link: SshLink | null; posted: CacheEvent[] }> {
  const config: CacheConfig = {
    type: "ssh",
    host: HOST,
    "known-hosts": fixture.knownHosts,
    transport: "auto",
    "remote-socket": fixture.daemonSocket,
    priority: 30,
    "public-keys": [],
    trusted: false,
  };
  const posted: CacheEvent[] = [];
  const discovery: Discovery = {
    lookup: (_target, _signal, options) =>
      Promise.resolve({ how: "mdns", endpoints: options?.thorough === true ? [...quick, ...late] : quick }),
    watch: () => () => undefined,
    refresh: () => undefined,
    close: () => Promise.resolve(),
  };
  const link = await attemptCache(
    1,
    config,
    {
      name: "pi",
      discovery,
      handshake: handshakeDaemon,
      env: fixture.env,
      log: silentLog,
      post: (fact) => posted.push(fact),
      onTarget: () => undefined,
    },
    new AbortController().signal,
  );
  return { link, posted };
}

test("a stranger that answers first does not hide the machine", async () => {
  const other = await fixture.sshd({ ...stranger, port: 22, config: ["LogLevel DEBUG1"] });
  await fixture.sshd({ ...pi, port: 22 });
  const { link, posted } = await attempt([stranger], [pi]);
  link?.close();
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
