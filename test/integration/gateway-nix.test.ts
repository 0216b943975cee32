// The real nix client fetching through the gateway from a real nix-daemon, and going on without it.

import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { pino } from "pino";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { openGateway, type Gateway } from "../../src/gateway/gateway.js";
import { createDaemonUpstream } from "../../src/upstream/daemon-upstream.js";
import type { NarBytes, Upstream } from "../../src/upstream/upstream.js";
import { ask } from "../support/http.js";
import { makeStore, type NixStore } from "../support/nix-store.js";

const run = promisify(execFile);
const log = pino({ level: "silent" });
const megabytes = 24;
/** Builds the same 24 MB everywhere, with nothing but what Debian has. */
const expression = `derivation {
  name = "thing";
  system = builtins.currentSystem;
  builder = "/bin/sh";
  PATH = "/bin:/usr/bin";
  args = [ "-c" "head -c ${megabytes}000000 /dev/zero > $out" ];
}`;
const buildOptions = ["--option", "sandbox-paths", "/bin /usr /lib /lib64", "--no-out-link"];

let pi: NixStore;
let laptop: NixStore;
let gateway: Gateway;
let upstreams: Upstream[] = [];
let publicKey = "";
let top = "";
let closure: string[] = [];
let thing = "";

function openUpstream(): Upstream {
  const upstream = createDaemonUpstream({ openDaemon: async () => pi.openDaemon(), log });
  upstreams.push(upstream);
  return upstream;
}

/** An upstream whose first NAR is lost half-way; `onCut` runs then. */
function cutUpstream(onCut: () => void): Upstream {
  const upstream = openUpstream();
  let cut = false;
  return {
    ...upstream,
    openNar: async (info, signal): Promise<NarBytes> => {
      const nar = await upstream.openNar(info, signal);
      if (cut) return nar;
      cut = true;
      let count = 0;
      return {
        async *[Symbol.asyncIterator]() {
          for await (const piece of nar) {
            count += piece.length;
            if (count > info.narSize / 2) {
              nar.destroy();
              onCut();
              throw new Error("the link is lost");
            }
            yield piece;
          }
        },
        destroy: (error) => nar.destroy(error),
      };
    },
  };
}

const substitution = (): string[] => [
  "--option",
  "substituters",
  `http://127.0.0.1:${gateway.port}/pi`,
  "--option",
  "trusted-public-keys",
  publicKey,
];

beforeAll(async () => {
  pi = await makeStore();
  const leaf = await pi.addTree("leaf", { entries: { "a file": "a", bin: { script: "#!/bin/sh\n" } } }, {});
  const middle = await pi.addTree("middle", { entries: { to: { link: leaf } } }, { references: [leaf] });
  top = await pi.addTree("top", "x".repeat(3_000_000), { references: [leaf, middle] });
  closure = [leaf, middle, top];
  thing = (await pi.run("nix-build", "--expr", expression, ...buildOptions)).trim();
  publicKey = await pi.sign("pi-1", ...closure, thing);
});

afterAll(() => pi.dispose());

beforeEach(async () => {
  laptop = await makeStore();
  gateway = await openGateway({ caches: [{ name: "pi", priority: 30 }], listen: { port: 0 }, log });
  return async () => {
    await gateway.close(0);
    for (const upstream of upstreams) upstream.close();
    upstreams = [];
    await laptop.dispose();
  };
});

describe("while the cache is there", () => {
  test("nix-store -r fetches a signed closure, byte for byte", async () => {
    gateway.setUpstream("pi", openUpstream());
    await laptop.run("nix-store", "-r", top, ...substitution());
    for (const path of closure) {
      await laptop.run("nix-store", "--verify-path", path);
      expect(await laptop.dump(path)).toEqual(await pi.dump(path));
    }
    expect(await laptop.run("nix-store", "-q", "--references", top)).toBe(
      await pi.run("nix-store", "-q", "--references", top),
    );
    const sizes = await Promise.all(closure.map(async (path) => (await pi.dump(path)).size));
    const narBytes = sizes.reduce((sum, size) => sum + size, 0);
    expect(gateway.stats("pi")).toMatchObject({ hits: closure.length, narBytes, unsigned: 0, resumed: 0 });
  });

  test("a generation's URL serves just as well; nix path-info and nix copy work too", async () => {
    gateway.setUpstream("pi", openUpstream());
    const url = `http://127.0.0.1:${gateway.port}/pi/11`;
    expect(await laptop.run("nix", "path-info", "--store", url, "-r", top)).toContain(top);
    await laptop.run("nix", "copy", "--from", url, top, "--option", "trusted-public-keys", publicKey);
    await laptop.run("nix-store", "--verify-path", top);
  });

  test("a path without signature is counted, and left alone by Nix", async () => {
    const unsigned = await pi.addFile("unsigned", "nobody signed this", { references: [] });
    gateway.setUpstream("pi", openUpstream());
    await expect(laptop.run("nix-store", "-r", unsigned, ...substitution())).rejects.toThrow(/sign/);
    expect(gateway.stats("pi").unsigned).toBe(1);
  });

  test("nix-build takes a build's result from it", async () => {
    gateway.setUpstream("pi", openUpstream());
    const options = [...buildOptions, ...substitution(), "--max-jobs", "0"];
    expect((await laptop.run("nix-build", "--expr", expression, ...options)).trim()).toBe(thing);
  });
});

describe("when the cache goes away", () => {
  const build = (): Promise<string> =>
    laptop.run("nix-build", "--expr", expression, ...buildOptions, ...substitution());

  test("before: nix-build builds by itself", async () => {
    expect((await build()).trim()).toBe(thing);
    expect(gateway.stats("pi").narBytes).toBe(0);
  });

  test("in the middle of a NAR, for good: nix-build builds by itself", async () => {
    gateway.setUpstream(
      "pi",
      cutUpstream(() => gateway.setUpstream("pi", null)),
    );
    expect((await build()).trim()).toBe(thing);
    expect(gateway.stats("pi").narBytes).toBeGreaterThan(0);
    expect(gateway.stats("pi").resumed).toBe(0);
    await laptop.run("nix-store", "--verify-path", thing);
  });

  test("in the middle of a NAR, and comes back: the transfer goes on", async () => {
    gateway.setUpstream(
      "pi",
      cutUpstream(() => gateway.setUpstream("pi", openUpstream())),
    );
    await laptop.run("nix-store", "-r", thing, ...substitution());
    await laptop.run("nix-store", "--verify-path", thing);
    expect(gateway.stats("pi").resumed).toBe(1);
  });

  test("a path that lost its files on the far side: nix-build builds by itself", async () => {
    const upstream = openUpstream();
    gateway.setUpstream("pi", {
      ...upstream,
      openNar: (info, signal) =>
        upstream.openNar({ ...info, path: `/nix/store/${"b".repeat(32)}-gone` }, signal),
    });
    expect((await build()).trim()).toBe(thing);
    expect(gateway.stats("pi")).toMatchObject({ hits: 1, narBytes: 0 });
  });
});

test("another user's process gets 403, our own 200", async () => {
  const url = `http://127.0.0.1:${gateway.port}/pi/nix-cache-info`;
  const curl = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", url];
  const nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
  expect((await run("setpriv", [...nobody, ...curl])).stdout).toBe("403");
  expect((await ask(gateway.port, "/pi/nix-cache-info")).status).toBe(200);
});
