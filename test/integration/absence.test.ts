// Bursts of questions for what is not there: the real sshd, its SFTP, and the databases of real nix-daemons.

import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sshCacheLink } from "../../src/daemon/cache-link.js";
import type { Upstream } from "../../src/upstream/upstream.js";
import { eventually } from "../support/eventually.js";
import { makeLinkFixture, type LinkFixture } from "../support/link-fixture.js";
import { inventPath } from "../support/nix-export.js";
import { makePrivateNix, type NixVersion } from "../support/private-nix.js";
import { silentLog } from "../support/silent-log.js";
import type { Sshd } from "../support/sshd.js";

const sftp = "Subsystem sftp internal-sftp";
const nobodyHas = inventPath("nobody", "absence").slice(11, 43);
let fixture: LinkFixture;
const cleanups: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  fixture = await makeLinkFixture();
});
afterAll(async () => {
  for (const cleanup of cleanups) await cleanup();
  await fixture.endTest();
  await fixture.dispose();
});

/** A machine with a Nix of its own. */
interface Machine {
  readonly upstream: Upstream;
  /** Adds a file to its store, past its nix-daemon; resolves to the path's hash part. */
  add(name: string): Promise<string>;
  /** Makes its database one that was not written to of late. */
  calmDown(): Promise<void>;
}

/** Reaches one over SSH. */
async function reach(sshd: Sshd, version: NixVersion, conf: string, prepare = "true"): Promise<Machine> {
  const nix = await makePrivateNix(version, () => conf);
  await nix.run(`nix-store --init && ${prepare}`);
  const remoteSocket = await nix.listen();
  const link = await fixture.connect(sshd, { config: { remoteSocket } });
  const upstream = sshCacheLink(link, silentLog, async () => null).openUpstream();
  cleanups.push(async () => {
    upstream.close();
    link.close();
    await nix.dispose();
  });
  const add = async (name: string): Promise<string> =>
    (await nix.run(`cd && echo ${name} >${name} && nix-store --add ${name}`)).stdout.slice(11, 43);
  const calmDown = async (): Promise<void> =>
    void (await nix.run(
      "touch -c -d '1 minute ago' /nix/var/nix/db/db.sqlite /nix/var/nix/db/db.sqlite-wal",
    ));
  return { upstream, add, calmDown };
}

const ask = (upstream: Upstream, hashPart: string): Promise<unknown> =>
  upstream.queryByHashPart(hashPart, new AbortController().signal);

let asked = 0;

/** Asks in vain, as a gateway does for one that builds something new. */
async function askInVain(upstream: Upstream): Promise<void> {
  const hashParts = Array.from({ length: 60 }, () => inventPath(`${(asked += 1)}`, "absence").slice(11, 43));
  for (const one of hashParts) upstream.isAbsent?.(one);
  await Promise.all(hashParts.map((one) => ask(upstream, one)));
}

/** Until what nobody has is known not to be there. */
function untilKnown(upstream: Upstream): Promise<void> {
  const isKnown = async (): Promise<boolean> => {
    if (upstream.isAbsent?.(nobodyHas) === true) return true;
    await askInVain(upstream);
    return false;
  };
  return eventually("what is not there is known", isKnown, 20_000);
}

describe("a path that is added later is found at the next question", () => {
  let sshd: Sshd;
  beforeAll(async () => {
    sshd = await fixture.sshd({ config: [sftp] });
  });

  test.concurrent.each([
    ["2.34", "use-sqlite-wal = true"],
    ["2.34", "use-sqlite-wal = false"],
    ["2.8", "use-sqlite-wal = true"],
    ["2.8", "use-sqlite-wal = false"],
  ] as const)("Nix %s with %s", async (version, conf) => {
    const { upstream, add, calmDown } = await reach(sshd, version, conf);
    const first = await add("first");
    await calmDown();
    await untilKnown(upstream);
    expect(upstream.isAbsent?.(first)).toBe(false);

    const second = await add("second");
    // As long as questions come, the last look may have been before.
    await eventually("it is not denied", () => upstream.isAbsent?.(second) === false, 2_000);
    expect(await ask(upstream, second)).not.toBeNull();

    await calmDown();
    await untilKnown(upstream);
    expect(upstream.isAbsent?.(second)).toBe(false);
  });
});

test.each([
  ["serves no files", [], undefined],
  ["lets nobody see its database", [sftp, "ForceCommand internal-sftp", "ChrootDirectory /run"], undefined],
  [
    "has its database's log elsewhere",
    [sftp],
    "cd /nix/var/nix/db && mv db.sqlite ../real && ln -s ../real db.sqlite",
  ],
])("a machine that %s is asked every time", async (_what, config, prepare) => {
  const sshd = await fixture.sshd({ config });
  const { upstream, add, calmDown } = await reach(sshd, "2.34", "", prepare);
  const path = await add("path");
  await calmDown();
  for (let round = 0; round < 5; round += 1) {
    await askInVain(upstream);
    await sleep(200);
    expect(upstream.isAbsent?.(nobodyHas)).toBe(false);
  }
  expect(await ask(upstream, path)).not.toBeNull();
});
