// The real nix client over the forward's socket, joined to a real `nix-daemon --stdio`.

import { join } from "node:path";

import { pino } from "pino";
import { afterAll, beforeAll, expect, test } from "vitest";

import { openForward, type Forward } from "../../src/forward/local-socket.js";
import { makeStore, type NixStore } from "../support/nix-store.js";

let pi: NixStore;
let laptop: NixStore;
let forward: Forward;
let url = "";

beforeAll(async () => {
  [pi, laptop] = await Promise.all([makeStore(), makeStore()]);
  const path = join(laptop.dir, "run", "pi.sock");
  const openDaemon = async (): ReturnType<Parameters<typeof openForward>[0]["openDaemon"]> => pi.openDaemon();
  forward = await openForward({ path, openDaemon, log: pino({ level: "silent" }) });
  url = `unix://${path}`;
});

afterAll(async () => {
  await forward.close();
  await Promise.all([pi.dispose(), laptop.dispose()]);
});

test("nix store ping and nix path-info answer", async () => {
  await laptop.run("nix", "store", "ping", "--store", url);
  const path = await pi.addFile("there", "on the far side");
  expect((await laptop.run("nix", "path-info", "--store", url, path)).trim()).toBe(path);
});

test("nix copy --to uploads a closure", async () => {
  const leaf = await laptop.addFile("leaf", "l".repeat(5_000_000), { references: [] });
  const top = await laptop.addFile("top", "t", { references: [leaf] });
  await laptop.run("nix", "copy", "--to", url, "--no-check-sigs", top);
  for (const path of [leaf, top]) {
    await pi.run("nix-store", "--verify-path", path);
    expect(await pi.dump(path)).toEqual(await laptop.dump(path));
  }
});

test("many commands at once, and nothing is left behind", async () => {
  await Promise.all(Array.from({ length: 8 }, () => laptop.run("nix", "store", "ping", "--store", url)));
  await expect.poll(() => forward.connections).toBe(0);
});
