// A cache on a web server: the laptop finds the Pi's nginx by multicast DNS, Nix fetches compressed files from it, and cables
// are pulled while it does.

import { describe, expect, it } from "vitest";
import { delay } from "../../src/util/abort.js";
import type { Lab } from "./lab.js";
import { build, closureHashes, copiedFrom, realise, verify } from "./store.js";
import type { Tether } from "./tether.js";
import { useTetheredLab } from "./tethered-lab.js";

const config = `
[caches.pi]
type = "http"
url = "http://pi.local:8080"
`;

const nginxConf = `
daemon off;
pid /run/cache-nginx.pid;
events {}
http { server { listen 8080; root /srv/cache; limit_rate 3m; } }
`;

/** Builds a sample on the Pi and puts it into the web server's folder. */
async function publish(lab: Lab, what: "parts" | "one", salt: string): Promise<string> {
  const { path } = await build(lab, "pi", what, salt);
  await lab.exec(
    "pi",
    `nix --extra-experimental-features nix-command copy --to 'file:///srv/cache?compression=zstd' ${path}`,
  );
  await lab.exec("pi", "chmod -R a+rX /srv/cache");
  return path;
}

describe("a cache on the Pi's web server", () => {
  let lab: Lab;
  let tether: Tether;

  useTetheredLab(
    {
      nix: "2.34",
      config,
      prepare: async (made) => {
        await made.exec("pi", `mkdir -p /srv/cache; cat >/srv/nginx.conf <<'CONF'\n${nginxConf}\nCONF`);
        await publish(made, "one", "at-first");
        await made.exec("pi", "systemd-run --unit cache-nginx nginx -c /srv/nginx.conf");
      },
    },
    (up) => ({ lab, tether } = up),
  );

  it("is found by its name, and what Nix fetches goes on over a pulled cable", async () => {
    expect(await tether.cache()).toMatchObject({ type: "http", host: "pi.local:8080", socket: null });
    const path = await publish(lab, "parts", "over-the-cable");
    const before = await tether.cache();
    const fetching = realise(lab, path);
    await tether.waitCache("bytes have come", ({ narBytes }) => narBytes > before.narBytes);
    await lab.cable("laptop", "down");
    await tether.waitListed([]);
    await delay(2_000);
    await lab.cable("laptop", "up");
    const { log } = await fetching;
    expect(copiedFrom(log, "pi").size).toBeGreaterThan(0);
    expect(log).not.toMatch(/error|retrying/i);
    await tether.waitListed(["pi"]);
    const after = await tether.cache();
    expect(after.abandoned).toBe(0);
    expect(after.resumed).toBeGreaterThan(0);
    expect(await closureHashes(lab, "laptop", path)).toBe(await closureHashes(lab, "pi", path));
    await verify(lab, path);
  });

  it("is unlisted when it is away, and Nix builds without a word about it", async () => {
    await lab.cable("pi", "down");
    await lab.cable("laptop", "down");
    await tether.waitListed([]);
    const { log } = await build(lab, "laptop", "one", "without-the-web-server");
    expect(log).toContain("building");
    expect(log).not.toMatch(/37515|tether|substitut|cache|warning|error/i);
    await lab.cable("pi", "up");
    await lab.cable("laptop", "up");
    await tether.waitListed(["pi"]);
  });

  it("is noticed to be away where only its own cable was pulled, and a build that asks meanwhile goes on", async () => {
    await lab.cable("pi", "down");
    const { log } = await build(lab, "laptop", "one", "its-own-cable");
    expect(log).toContain("building");
    await tether.waitListed([], 40_000);
    await lab.cable("pi", "up");
    await tether.waitListed(["pi"], 40_000);
    const path = await publish(lab, "one", "after-its-return");
    const fetched = await build(lab, "laptop", "one", "after-its-return");
    expect([...copiedFrom(fetched.log, "pi")]).toEqual([path]);
  });
});
