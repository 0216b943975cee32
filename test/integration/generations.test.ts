// The URL that Nix is given, over a life with absences, restarts and uploads: the program as a whole, with a real
// sshd and a real Nix store behind it. It changes when a "not here" has become false, and at no other time.

import { readFile, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, onTestFailed, test } from "vitest";
import { compileProgram, type Program } from "../support/compile.js";
import { eventually } from "../support/eventually.js";
import { ask } from "../support/http.js";
import { makeStore, type NixStore } from "../support/nix-store.js";
import { makeKey, startSshd, type Sshd } from "../support/sshd.js";
import { makeTetherHome, type TetherHome } from "../support/tether-home.js";

let program: Program;
let pi: NixStore;
let laptop: NixStore;
let sshd: Sshd;
let home: TetherHome;

beforeAll(async () => {
  [program, pi, laptop] = await Promise.all([compileProgram("src/main.ts"), makeStore(), makeStore()]);
  const key = await makeKey(pi.dir, "user");
  sshd = await startSshd({ authorizedKeys: [key.publicKey], env: pi.env });
  const daemonSocket = await pi.listen();
  home = await makeTetherHome({ main: program.file, sshd, key, daemonSocket });
});

afterAll(async () => {
  await home?.dispose();
  await sshd?.stop();
  await Promise.all([pi?.dispose(), laptop?.dispose(), program?.remove()]);
});

beforeEach(async () => {
  home.start();
  onTestFailed(() => void process.stderr.write(home.log()));
  expect(await home.untilListed()).toBe(urlOf(0));
});

afterEach(async () => {
  await home.stop();
  await rm(dirname(home.generationFile), { recursive: true, force: true });
});

const urlOf = (generation: number): string => `http://127.0.0.1:${home.port}/pi/${generation}?priority=30`;

/** Asks the gateway for a path as Nix does, under a generation; whether it was told of it. */
async function knows(path: string, generation: number): Promise<boolean> {
  const { status } = await ask(home.port, `/pi/${generation}/${path.slice(11, 43)}.narinfo`);
  return status === 200;
}

/** A path that is in no store. */
const nowhere = `/nix/store/${"z".repeat(32)}-nowhere`;

/** Starts the program, for which the cache is still paused, and brings it back. */
async function startResumed(): Promise<void> {
  home.start();
  const resume = (): Promise<boolean> =>
    home.command("resume").then(
      () => true,
      () => false,
    );
  await eventually("it runs", resume, 10_000);
}

/** Brings the cache back, and returns each URL that was listed from then until a moment after the first. */
async function resumed(): Promise<string[]> {
  const seen = new Set<string>();
  await home.command("resume");
  await home.untilListed();
  for (let i = 0; i < 20; i += 1) {
    const url = await home.listed();
    if (url !== null) seen.add(url);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return [...seen];
}

test("it stays when the cache goes and returns, and nothing false was said meanwhile", async () => {
  const there = await pi.addFile("told", "from the beginning");
  expect(await knows(there, 0)).toBe(true);
  expect(await knows(nowhere, 0)).toBe(false);
  await home.command("pause");
  expect(await home.listed()).toBeNull();
  expect(await resumed()).toEqual([urlOf(0)]);
  await home.command("pause");
  expect(await knows(nowhere, 0)).toBe(false);
  // Another URL's answers do not concern the one that is listed.
  expect(await knows(await pi.addFile("elsewhere", "asked under another URL"), 5)).toBe(false);
  expect(await resumed()).toEqual([urlOf(0)]);
  expect(await home.cache()).toMatchObject({ generation: 0, url: urlOf(0).replace(/\?.*/, "") });
});

test("it moves on before the cache is listed again, when something was denied that is there", async () => {
  const path = await pi.addFile("denied", "while it was away");
  await home.command("pause");
  expect(await knows(path, 0)).toBe(false);
  expect(await resumed()).toEqual([urlOf(1)]);
  expect(await knows(path, 1)).toBe(true);
  // A Nix that runs with the old URL is answered all the same.
  expect(await knows(path, 0)).toBe(true);
  expect(await home.cache()).toMatchObject({ listed: true, generation: 1 });
  await home.command("pause");
  expect((await home.cache()).url).toBe(urlOf(1).replace(/\?.*/, ""));
});

test("a restart forgets neither the URL nor what was denied, even when the program is killed", async () => {
  const [first, second] = [await pi.addFile("first", "1"), await pi.addFile("second", "2")];
  await home.command("pause");
  expect(await knows(first, 0)).toBe(false);
  await home.stop();
  await startResumed();
  expect(await home.untilListed()).toBe(urlOf(1));

  await home.command("pause");
  expect(await knows(second, 1)).toBe(false);
  const saved = async (): Promise<boolean> =>
    (await readFile(home.generationFile, "utf8")).includes(second.slice(11, 43));
  await eventually("the denial is saved", saved, 15_000);
  await home.stop("SIGKILL");
  await startResumed();
  expect(await home.untilListed()).toBe(urlOf(2));
});

test("a damaged record is said to be one, and begun anew; where there can be none, all goes on", async () => {
  await home.stop();
  await writeFile(home.generationFile, '{"version":1,"caches":{"pi":{"current":3');
  home.start();
  expect(await home.untilListed()).toBe(urlOf(0));
  expect(home.log()).toContain("starting anew");

  await home.stop();
  const folder = dirname(home.generationFile);
  await rm(folder, { recursive: true });
  await writeFile(folder, "not a folder");
  home.start();
  try {
    await home.untilListed();
    const codes = async (): Promise<string[]> =>
      (await home.command("status")).warnings.map(({ code }) => code);
    await eventually("a warning", async () => (await codes()).includes("state-unwritable"));
    const path = await pi.addFile("in-memory", "only");
    await home.command("pause");
    expect(await knows(path, 0)).toBe(false);
    expect(await resumed()).toEqual([urlOf(1)]);
  } finally {
    await rm(folder);
  }
});

test("it moves on at once after an upload", async () => {
  const path = await laptop.addFile("uploaded", "through the forward");
  expect(await knows(path, 0)).toBe(false);
  await laptop.run("nix", "copy", "--to", `unix://${home.forwardSocket}`, "--no-check-sigs", path);
  const moved = async (): Promise<boolean> => (await home.listed()) === urlOf(1);
  await eventually("it has moved", moved, 10_000);
  expect(await knows(path, 1)).toBe(true);
});

test("it moves on within a minute after something was built there", { timeout: 90_000 }, async () => {
  const path = await laptop.addFile("built", "on the far side");
  expect(await knows(path, 0)).toBe(false);
  expect(await pi.addFile("built", "on the far side")).toBe(path);
  const moved = async (): Promise<boolean> => (await home.listed()) === urlOf(1);
  await eventually("it has moved", moved, 60_000);
  expect(await knows(path, 1)).toBe(true);
});
