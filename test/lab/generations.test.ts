// A "not here" that has become false must not hide the Pi: Nix remembers it for an hour, under the URL that it asked. With
// the real Nix of a user who is not trusted, whose administrator allowed the cache's URLs once.

import { describe, expect, it } from "vitest";
import type { Lab, NixVersion } from "./lab.js";
import { build, copiedFrom, realise } from "./store.js";
import type { Tether } from "./tether.js";
import { useTetheredLab } from "./tethered-lab.js";

describe.each<NixVersion>(["2.8", "2.34"])("with Nix %s", (nix) => {
  let lab: Lab;
  let tether: Tether;

  useTetheredLab({ nix }, (up) => ({ lab, tether } = up));

  /** The URL that Nix is told of. */
  async function url(): Promise<string> {
    const { urls } = await tether.override();
    expect(urls).toHaveLength(1);
    return urls[0] ?? "";
  }

  /** Whether Nix is willing to get the path by this URL alone: of a Nix that was started when it was listed. */
  async function isFetched(path: string, from: string): Promise<boolean> {
    const { code } = await tether.shell(`nix-store -r ${path} --option substituters '${from}'`, {
      mayFail: true,
    });
    return code === 0;
  }

  it("fetches at once, when the Pi is back, what was asked for while it was away", async () => {
    const { path } = await build(lab, "pi", "one", "asked-while-away");
    const before = await url();
    await lab.cable("laptop", "down");
    await tether.waitListed([]);
    expect(await isFetched(path, before)).toBe(false);
    await lab.cable("laptop", "up");
    await tether.waitListed(["pi"]);
    expect(await url()).not.toBe(before);

    // Nix does remember: by the old URL the path is still hidden.
    expect(await isFetched(path, before)).toBe(false);
    const { log } = await realise(lab, path);
    expect([...copiedFrom(log, "pi")]).toEqual([path]);
    expect(log).not.toMatch(/untrusted|error/i);
  });

  it("fetches within a minute what was asked for before the Pi built it", async () => {
    const salt = "asked-before-it-was-built";
    const evaluate = `nix-store -q --outputs $(nix-instantiate /opt/nix-tether/test/lab/closure.nix -A one --argstr salt ${salt})`;
    const path = (await lab.user("pi", "pi", evaluate)).stdout.trim();
    const before = await url();
    expect(await isFetched(path, before)).toBe(false);
    expect((await build(lab, "pi", "one", salt)).path).toBe(path);
    const built = Date.now();
    expect(await isFetched(path, before)).toBe(false);

    await lab.waitFor("another URL is listed", async () => (await url()) !== before, 60_000);
    const { log } = await realise(lab, path);
    expect(Date.now() - built).toBeLessThanOrEqual(60_000);
    expect([...copiedFrom(log, "pi")]).toEqual([path]);
  });

  it("gives Nix no other URL when the Pi goes and returns and nothing false was said", async () => {
    const before = await url();
    await lab.cable("laptop", "down");
    await tether.waitListed([]);
    expect(await isFetched(`/nix/store/${"z".repeat(32)}-nowhere`, before)).toBe(false);
    await lab.cable("laptop", "up");
    await tether.waitListed(["pi"]);
    expect(await url()).toBe(before);
  });
});
