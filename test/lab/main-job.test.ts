// The main job, with the real nix at both ends: what the Pi has is fetched from it while it is there, and when its cable
// is pulled Nix goes on as if the cache had never been configured.

import { describe, expect, it } from "vitest";
import { delay } from "../../src/util/abort.js";
import { CarrierWatch } from "./carrier-watch.js";
import type { Lab, NixVersion } from "./lab.js";
import { build, closureHashes, copiedFrom, realise, verify } from "./store.js";
import type { Tether } from "./tether.js";
import { useTetheredLab } from "./tethered-lab.js";

describe.each<NixVersion>(["2.8", "2.26", "2.34"])("with Nix %s", (nix) => {
  let lab: Lab;
  let tether: Tether;

  useTetheredLab({ nix }, (up) => ({ lab, tether } = up));

  it("says where the Pi is and what it runs", async () => {
    const { state, transport, nixVersion, listed } = await tether.cache();
    expect({ state, transport, listed }).toEqual({ state: "online", transport: "socket", listed: true });
    expect(nixVersion).toMatch(new RegExp(`^${nix.replace(".", "\\.")}\\.`));
  });

  it("fetches a closure of 300 paths from the Pi", async () => {
    const { path } = await build(lab, "pi", "many", "fetched");
    const before = await tether.cache();
    const { log } = await realise(lab, path);
    const after = await tether.cache();
    expect(copiedFrom(log, "pi").size).toBe(300);
    expect(after.hits - before.hits).toBeGreaterThanOrEqual(300);
    expect(after.narBytes).toBeGreaterThan(before.narBytes);
    expect(await closureHashes(lab, "laptop", path)).toBe(await closureHashes(lab, "pi", path));
    await verify(lab, path);
  });

  it("fetches one path of 300 MB instead of building it", async () => {
    const { path } = await build(lab, "pi", "big", "fetched");
    const before = await tether.cache();
    const { log } = await build(lab, "laptop", "big", "fetched");
    const after = await tether.cache();
    expect([...copiedFrom(log, "pi")]).toEqual([path]);
    expect(log).not.toContain("building");
    expect(after.narBytes - before.narBytes).toBeGreaterThanOrEqual(300 * 2 ** 20);
    await verify(lab, path);
  });

  it("unlists within a second of the pulled cable, and Nix builds without a word about the cache", async () => {
    const watch = await CarrierWatch.start(lab);
    try {
      await lab.cable("laptop", "down");
      const lost = await watch.next(false);
      const { changedAt, text } = await tether.waitListed([]);
      expect(changedAt - lost).toBeLessThanOrEqual(1_000);
      expect(text.split("\n").every((line) => line === "" || line.startsWith("#"))).toBe(true);
      const { log } = await build(lab, "laptop", "one", "without-the-pi");
      expect(log).toContain("building");
      expect(log).not.toMatch(/37515|tether|substitut|cache|warning|error/i);
    } finally {
      await watch.stop();
      await lab.cable("laptop", "up");
      await tether.waitListed(["pi"]);
    }
  });

  it("lists again within two seconds of pi.local being there, without a restart", async () => {
    const { pid } = await tether.status();
    await lab.cable("laptop", "down");
    // NetworkManager takes the addresses away after six seconds: the hardest way to come back from.
    await delay(7_000);
    expect((await tether.override()).urls).toEqual([]);
    const resolvable = lab.exec(
      "laptop",
      "until timeout 0.5 avahi-resolve -4 -n pi.local 2>&1 | grep -q 10.77.0.1; do sleep 0.02; done; date +%s%N",
    );
    const plugged = Date.now();
    await lab.cable("laptop", "up");
    const { changedAt } = await tether.waitListed(["pi"]);
    expect(changedAt).toBeGreaterThan(plugged);
    const since = Number((await resolvable).stdout) / 1e6;
    expect(changedAt - since).toBeLessThanOrEqual(2_000);
    expect((await tether.status()).pid).toBe(pid);

    const { path } = await build(lab, "pi", "one", "after-the-return");
    const { log } = await build(lab, "laptop", "one", "after-the-return");
    expect([...copiedFrom(log, "pi")]).toEqual([path]);
  });
});
