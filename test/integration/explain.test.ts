// `nix-tether explain` after things that really happened: a real daemon and sshd, a real nix that fetches or does not.

import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { cacheTable, type DaemonHome } from "../support/daemon.js";
import { type DaemonFixture, makeDaemonFixture, nobody } from "../support/daemon-fixture.js";
import { eventually } from "../support/eventually.js";
import { ask } from "../support/http.js";
import { makeMultiNix } from "../support/multi-nix.js";
import { makeStore, type NixStore } from "../support/nix-store.js";
import type { Sshd } from "../support/sshd.js";

let fixture: DaemonFixture;
let pi: NixStore;
let laptop: NixStore;
let sshd: Sshd;
let home: DaemonHome;
let other: http.Server;
let key: string;
let paths: Record<"signed" | "unsigned" | "large" | "elsewhere" | "own", string>;

const hashPart = (path: string): string => path.slice("/nix/store/".length, "/nix/store/".length + 32);

/** What `nix-tether explain` says, with everything on one line. */
async function explained(word: string): Promise<string> {
  const { code, stdout, stderr } = await home.run("explain", word);
  expect([code, stderr]).toEqual([0, ""]);
  return stdout;
}

async function url(): Promise<string> {
  const [entry] = await home.listed();
  return entry?.url ?? "";
}

/** `nix-store -r` with the cache as it is listed. */
async function realise(path: string): Promise<string> {
  return laptop.run("nix-store", "-r", path, "--option", "substituters", await url());
}

beforeAll(async () => {
  fixture = await makeDaemonFixture();
  pi = fixture.far.store;
  // With references of its own a path is known by its name and not by its content, so that it needs a signature.
  const needsSignature = { references: [] };
  paths = {
    signed: await pi.addFile("signed", "signed", needsSignature),
    unsigned: await pi.addFile("unsigned", "unsigned", needsSignature),
    large: await pi.addFile("large", Buffer.alloc(48 << 20, "many bytes "), needsSignature),
    elsewhere: await pi.addFile("elsewhere", "elsewhere", needsSignature),
    own: "",
  };
  key = await pi.sign("pi-1", paths.signed, paths.large, paths.elsewhere);

  other = http.createServer(({ url: asked = "" }, response) => {
    if (asked.startsWith(`/${hashPart(paths.elsewhere)}.narinfo`))
      response.end(`StorePath: ${paths.elsewhere}\n`);
    else response.writeHead(404).end();
  });
  await once(other.listen(0, "127.0.0.1"), "listening");
  const { port } = other.address() as AddressInfo;
  laptop = await makeStore({
    conf: `trusted-public-keys = ${key}\nextra-substituters = http://127.0.0.1:${port}?priority=10\n`,
  });
  paths.own = await laptop.addFile("own", "made here");

  sshd = await fixture.sshd();
  const { NIX_CONF_DIR, NIX_REMOTE } = laptop.env;
  home = await fixture.home({ env: { NIX_CONF_DIR, NIX_REMOTE } });
  await home.configure(`resume-wait = 0\n${cacheTable("pi", fixture.cache(sshd))}`);
  home.start();
  await home.untilListed(["pi"]);
});

afterAll(async () => {
  other?.close();
  await fixture?.dispose();
  await laptop?.dispose();
});

test("what was never asked for, or is nowhere", async () => {
  const text = await explained(paths.signed);
  expect(text).toMatch(/^pi: Nix has not asked pi for it in the \d+ s that are remembered\./m);
  expect(text).toMatch(/^ {2}Now: there, 1\d\d B, signed by pi-1, which Nix trusts$/m);
  expect(text).toMatch(/^Here: not in the store$/m);
  expect(text).toMatch(/^Asked before: http:.*priority=10 \(priority 10\) does not have it$/m);
  expect(await explained("0".repeat(32))).toMatch(
    /Now: not there\n\nHere: nobody knows a path that begins so\n/,
  );
});

test("what another cache has that is asked first", async () => {
  expect(await explained(paths.elsewhere)).toMatch(
    /^pi: http:\S+ is asked first \(its priority is 10, that of pi 30\), and has it\.\n {2}→ A lower caches\.pi\.priority/m,
  );
});

test("what Nix fetched, in words and in JSON", async () => {
  await realise(paths.signed);
  const text = await explained(hashPart(paths.signed));
  expect(text.split("\n")[0]).toBe(paths.signed);
  expect(text).toMatch(/^pi: Nix fetched it from pi \d+ s ago: 1\d\d B\.$/m);
  expect(text).toMatch(/: fetched, all of 1\d\d B\n.*: asked; it is there \(URL 0\)$/m);
  expect(text).toMatch(/^Here: in the store, fetched or added, signed by pi-1$/m);
  const { stdout } = await home.run("explain", paths.signed, "--json");
  expect(JSON.parse(stdout)).toMatchObject({
    version: 1,
    hashPart: hashPart(paths.signed),
    path: paths.signed,
    local: { present: true, builtHere: false, signers: ["pi-1"] },
    caches: {
      pi: {
        verdict: "fetched",
        now: "found",
        trust: { kind: "accepted", by: ["pi-1"] },
        requests: [{ outcome: "sent" }, { outcome: "told", generation: 0 }],
      },
    },
  });
});

test("what Nix ignored, for want of a signature", async () => {
  await expect(realise(paths.unsigned)).rejects.toThrow();
  const text = await explained(paths.unsigned);
  expect(text).toMatch(
    /^pi: pi has it, without a signature, and Nix ignores it\.\n {2}→ .*nix store sign --all/m,
  );
  expect(text).toMatch(/^ {2}Now: there, 1\d\d B, unsigned, so Nix ignores it$/m);
});

test("what the machine did not have, and was given since", async () => {
  await ask(home.port, `${new URL(await url()).pathname}/${hashPart(paths.own)}.narinfo`);
  expect(await explained(paths.own)).toContain(`→ nix-tether enqueue ${paths.own} sends it there.`);
  await laptop.run("nix", "copy", "--no-check-sigs", "--to", `unix://${home.socket("pi")}`, paths.own);
  const text = await explained(paths.own);
  expect(text).toMatch(/^pi: Nix asked \d+ s ago, and pi did not have it\. It has it now\.\n {2}→ Nix /m);
});

test("a key in a user's own nix.conf counts only for a nix-daemon that trusts the user", async () => {
  const nix = await makeMultiNix("2.8");
  onTestFinished(() => nix.dispose());
  await nix.restart("");
  const theirs = await fixture.home({ uid: nobody, env: nix.env });
  onTestFinished(() => theirs.dispose());
  const conf = `extra-trusted-public-keys = ${key}\n!include nix-tether.conf\n`;
  await writeFile(join(theirs.dir, "config/nix/nix.conf"), conf);
  const cache = fixture.cache(sshd, { "identity-file": join(theirs.dir, "id") });
  await theirs.configure(cacheTable("pi", cache));
  theirs.start();
  const said = async (): Promise<string> => (await theirs.run("explain", paths.large)).stdout;
  const isOnline = async (): Promise<boolean> => (await theirs.run("status", "--quiet")).code === 0;
  await eventually("the cache is online", isOnline);
  expect(await said()).toMatch(/^ {2}Now: there, 48\.0 MiB, signed by pi-1, which Nix does not trust$/m);
  await nix.restart("trusted-users = root nobody");
  expect(await said()).toMatch(/^ {2}Now: there, 48\.0 MiB, signed by pi-1, which Nix trusts$/m);
});

test("what was cut, and what was asked for while the machine was away", async () => {
  const { body } = await ask(home.port, `/pi/0/${hashPart(paths.large)}.narinfo`);
  const nar = /^URL: (.*)$/m.exec(body.toString())?.[1] ?? "";
  const request = http.get({ host: "127.0.0.1", port: home.port, path: `/pi/0/${nar}`, agent: false });
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  response.on("error", () => undefined);
  await once(response, "readable");
  await sshd.kill("SIGKILL");
  const closed = new Promise((resolve) => response.once("close", resolve));
  response.resume();
  await closed;
  await eventually("it is away", async () => (await home.cache("pi")).state !== "online");
  const text = await explained(paths.large);
  expect(text).toMatch(
    /^pi: Nix began to fetch it from pi \d+ s ago\. The link was lost after [\d.]+ MiB of 48\.0 MiB/m,
  );
  expect(text).toMatch(/^ {2}→ Give the command again when pi is online\./m);
  expect(text).toMatch(/^ {2}Now: it can not be asked: (waiting|offline|connecting)$/m);

  await ask(home.port, `/pi/0/${"1".repeat(32)}.narinfo`);
  expect(await explained("1".repeat(32))).toMatch(/^pi: Nix asked \d+ s ago, and pi was away\.$/m);
  expect(await explained("2".repeat(32))).toMatch(/pi is not in reach: 127\.0\.0\.1 does not answer/);
});

test("says so where no daemon runs, and what is no path", async () => {
  const silent = await fixture.home();
  expect(await silent.run("explain", paths.signed)).toMatchObject({ code: 4, stdout: "" });
  expect(await silent.run("explain", "./nothing-here")).toMatchObject({ code: 2, stdout: "" });
});
