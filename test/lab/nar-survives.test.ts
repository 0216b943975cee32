// A NAR that survives the link: a mishap in the middle of a large path, and Nix notices nothing; the cable is pulled for
// good, and Nix builds by itself.

import { afterEach, describe, expect, it } from "vitest";
import { delay } from "../../src/util/abort.js";
import type { Lab, Host, NixVersion } from "./lab.js";
import { build, copiedFrom, realise, verify } from "./store.js";
import { onePi, type Tether } from "./tether.js";
import { useTetheredLab } from "./tethered-lab.js";

/** Short, for the sake of the test that waits for its end. */
const resumeWait = 6;
const config = `${onePi}
[gateway]
resume-wait = ${resumeWait}
`;
const megabyte = 2 ** 20;

interface Mishap {
  readonly what: string;
  readonly happen: (lab: Lab, tether: Tether) => Promise<unknown>;
  /** Whether Nix sees one response all the same. Else it asks for the rest, and gets it. */
  readonly unseen: boolean;
}

const unplugged = (host: Host): Mishap => ({
  what: `the ${host}'s cable is out for 3 s`,
  happen: async (lab) => {
    await lab.cable(host, "down");
    await delay(3_000);
    await lab.cable(host, "up");
  },
  unseen: true,
});
const asleep: Mishap = {
  what: "the laptop sleeps",
  happen: (lab) => lab.exec("laptop", "systemctl suspend"),
  unseen: true,
};
const killed: Mishap = {
  what: "the daemon is killed",
  happen: (_lab, tether) => tether.shell("systemctl --user kill -s KILL nix-tether.service"),
  unseen: false,
};

describe.each<[NixVersion, Mishap[]]>([
  ["2.8", [unplugged("laptop"), unplugged("pi"), asleep, killed]],
  ["2.34", [unplugged("laptop")]],
])("with Nix %s, in the middle of 300 MB", (nix, mishaps) => {
  let lab: Lab;
  let tether: Tether;

  // So slow that there is a middle: 75 MB/s.
  const prepare = (fresh: Lab): Promise<unknown> =>
    fresh.exec("pi", "tc qdisc add dev eth0 root tbf rate 600mbit burst 512k latency 100ms");
  useTetheredLab({ nix, config, prepare }, (up) => ({ lab, tether } = up));

  afterEach(async () => {
    await lab.cable("laptop", "up");
    await tether.waitListed(["pi"], 60_000);
  });

  /** Resolves when the cache has passed on a part of the NAR. */
  const begun = (before: number): Promise<unknown> =>
    tether.waitCache("a part of the NAR", ({ narBytes }) => narBytes - before > 60 * megabyte);

  it.each(mishaps.map((mishap) => [mishap.what, mishap] as const))(
    "%s: it goes on where it was",
    async (what, mishap) => {
      const { happen, unseen } = mishap;
      const { path } = await build(lab, "pi", "big", what.replace(/\W+/g, "-"));
      const { narBytes } = await tether.cache();
      const running = realise(lab, path);
      await begun(narBytes);
      await happen(lab, tether);
      const { log } = await running;
      expect([...copiedFrom(log, "pi")]).toEqual([path]);
      if (unseen) expect(log).not.toMatch(/retry|partial|error/i);
      await verify(lab, path);
      // Every byte came once; the daemon that was killed has told of what it sent to none.
      const after = await tether.cache();
      expect(after.narBytes - (unseen ? narBytes : 0)).toBeLessThan((unseen ? 301 : 290) * megabyte);
      if (!unseen) expect(after.resumed).toBe(1);
    },
  );

  it("the cable is out for good: nix-build builds by itself, soon after the wait", async () => {
    const { path } = await build(lab, "pi", "big", "for-good");
    const { narBytes } = await tether.cache();
    const running = build(lab, "laptop", "big", "for-good");
    await begun(narBytes);
    const pulled = performance.now();
    await lab.cable("laptop", "down");
    const { path: built, log } = await running;
    const seconds = (performance.now() - pulled) / 1000;
    expect(built).toBe(path);
    expect(log).toContain("building");
    expect(seconds).toBeGreaterThan(resumeWait);
    expect(seconds).toBeLessThan(resumeWait + 12);
    await verify(lab, path);
  });
});
