import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { SshCacheConfig } from "../../src/config/schema.js";
import { attemptCache } from "../../src/daemon/attempt.js";
import { findBySsh } from "../../src/daemon/find-ssh.js";
import type { Discovery, LookupResult, LookupTarget } from "../../src/sources/discovery.js";
import type { CacheEvent } from "../../src/sources/event.js";
import { noProcessors } from "../support/processors.js";
import { cacheConfig } from "../support/cache-config.js";
import { silentLog } from "../support/silent-log.js";
import { temporaryFolder } from "../support/temp-folder.js";

/** One try where nobody answers, on a machine without ssh unless it is given a PATH. */
async function lookInVain(
  config: Partial<SshCacheConfig>,
  how: LookupResult["how"],
  options: { path?: string; signal?: AbortSignal } = {},
): Promise<{ posted: CacheEvent[]; targets: LookupTarget[] }> {
  const posted: CacheEvent[] = [];
  const targets: LookupTarget[] = [];
  const discovery: Discovery = {
    lookup: () => Promise.resolve({ endpoints: [], how }),
    watch: () => () => undefined,
    refresh: () => undefined,
    close: () => Promise.resolve(),
  };
  const link = await attemptCache(
    7,
    [0],
    {
      find: findBySsh({
        name: "pi",
        processors: noProcessors,
        isMetered: async () => null,
        configs: [cacheConfig({ host: "Pi.local", ...config })],
        discovery,
        handshake: () => Promise.reject(new Error("never asked")),
        env: { PATH: options.path ?? "/nonexistent", HOME: "/nonexistent" },
        log: silentLog,
      }),
      post: (fact) => posted.push(fact),
      onTarget: (_way, target) => targets.push(target),
    },
    options.signal ?? new AbortController().signal,
  );
  expect(link).toBeNull();
  return { posted, targets };
}

const withoutSsh = "; ~/.ssh/config was not read, for there is no ssh program in PATH";

test.each([
  [{}, "mdns", "pi.local does not answer on this network"],
  [{ host: "pi" }, "resolver", "the name pi does not resolve here"],
  [{ service: "_ssh._tcp" }, "service", "no _ssh._tcp service named pi.local on this network"],
  [
    { service: "_ssh._tcp", instance: "Shelf" },
    "service",
    "no _ssh._tcp service named Shelf on this network",
  ],
] as const)("nobody there: %j is told in a sentence", async (config, how, text) => {
  const { posted } = await lookInVain(config, how);
  expect(posted).toEqual([{ type: "absent", attempt: 7, text: text + withoutSsh }]);
});

test("with ssh, the name it stands for is looked for, and nothing is said of it", async () => {
  const path = temporaryFolder();
  writeFileSync(join(path, "ssh"), "#!/bin/sh\necho hostname shelf.local\n", { mode: 0o755 });
  const { posted } = await lookInVain({ host: "pi" }, "mdns", { path });
  expect(posted).toEqual([
    { type: "absent", attempt: 7, text: "shelf.local does not answer on this network" },
  ]);
});

test("what is looked for is told before the answer", async () => {
  const { targets } = await lookInVain({ service: "_ssh._tcp", instance: "Shelf" }, "service");
  expect(targets).toEqual([{ host: "pi.local", service: "_ssh._tcp", instance: "Shelf" }]);
});

test("a try that is called off posts nothing", async () => {
  const { posted } = await lookInVain({}, "mdns", { signal: AbortSignal.abort() });
  expect(posted).toEqual([]);
});
