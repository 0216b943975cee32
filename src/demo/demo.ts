// `nix-tether demo`: two machines in one temporary folder. The real daemon finds, uses, loses and finds again a
// stand-in for the Pi, and each step counts only when it was seen from outside, as Nix would see it.

import { existsSync } from "node:fs";
import { chmod, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { delay } from "../util/abort.js";
import { messageOf, TetherError } from "../util/errors.js";
import type { DemoStore } from "./demo-store.js";
import { newKeyPair, startEmbeddedPi } from "./embedded-pi.js";
import { makeEmbeddedStore } from "./embedded-store.js";
import { fetchPath, lookUp } from "./fetch-path.js";
import { makeLaptop } from "./laptop.js";
import { isFound, type LoopbackName, openLoopbackName } from "./loopback-name.js";
import { makeNixStore } from "./nix-store.js";
import { createTimeline, type Output, size, spell, type Timeline } from "./timeline.js";

/** The whole demo ends within this time, whatever happens, in milliseconds. */
const deadlineMs = 50_000;
/** How long the Pi stays away. */
const absenceMs = 1_500;

export interface DemoOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly stdout: Output;
}

/** One run: what is made registers here how it is unmade, the last one first. */
interface Stage {
  readonly folder: string;
  readonly path: string;
  readonly timeline: Timeline;
  readonly signal: AbortSignal;
  defer(undo: () => Promise<unknown>): void;
  /** Gives what helps to understand a failure. */
  explain(text: () => string): void;
}

/** Plays the demo. Resolves to 0 only if every step happened, to 130 or 143 when a signal ended it, else to 1. */
export async function runDemo({ env, stdout }: DemoOptions): Promise<number> {
  const timeline = createTimeline(stdout, env, () => performance.now());
  const stop = new AbortController();
  const timer = setTimeout(
    () => stop.abort(new TetherError("timeout", `the demo took longer than ${deadlineMs / 1000} s`)),
    deadlineMs,
  );
  let exitCode = 0;
  const onSignal = (name: NodeJS.Signals): void => {
    exitCode = name === "SIGINT" ? 130 : 143;
    stop.abort(new TetherError("interrupted", `ended by ${name}`));
  };
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);

  const undo: (() => Promise<unknown>)[] = [];
  let explain = (): string => "";
  const folder = await mkdtemp(join(tmpdir(), "nix-tether-demo-"));
  try {
    await play({
      folder,
      path: env["PATH"] ?? "/usr/local/bin:/usr/bin:/bin",
      timeline,
      signal: stop.signal,
      defer: (step) => undo.unshift(step),
      explain: (text) => {
        explain = text;
      },
    });
  } catch (error) {
    exitCode ||= 1;
    timeline.failed(messageOf(stop.signal.aborted ? stop.signal.reason : error));
    if (exitCode === 1 && explain() !== "") timeline.note(`the end of the daemon's log:\n${explain()}`);
  }
  for (const step of [...undo, () => removeTree(folder)]) {
    await step().catch((error: unknown) => {
      exitCode ||= 1;
      timeline.failed(`cleaning up: ${messageOf(error)}`);
    });
  }
  clearTimeout(timer);
  process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  if (exitCode === 0) {
    timeline.done(`nothing is left: ${folder} is gone`);
    timeline.heading("\nAll of it happened. README.md says how to do it with a Pi of your own.");
  }
  return exitCode;
}

async function play(stage: Stage): Promise<void> {
  const { folder, path, timeline, signal } = stage;
  timeline.heading("A machine at home, a laptop, and Nix in between\n");
  timeline.note(`all of it happens in ${folder} and on 127.0.0.1`);

  const { store, real } = await openStore(stage);
  const key = newKeyPair();
  const pi = await startEmbeddedPi({ allowedKey: key.publicKey, serve: store.serve });
  stage.defer(() => pi.close());
  timeline.done(`the Pi is up: an SSH server on port ${pi.port}, with a new host key`);
  const name = await nameThePi(stage, pi.address);
  const host = name?.name ?? pi.address;

  const main = fileURLToPath(new URL("../main.js", import.meta.url));
  const { publicKey } = store;
  const laptop = await makeLaptop(join(folder, "laptop"), {
    pi,
    host,
    identity: key.privateKey,
    publicKey,
    path,
    main,
  });
  stage.defer(() => laptop.stop());
  stage.explain(() => laptop.log());
  const started = performance.now();
  laptop.start();
  timeline.note(`the daemon starts, told host = "${host}"`);
  if (name !== null) timeline.note("it asks for that name by multicast, on every interface");

  await laptop.found(signal);
  const foundAfter = since(started);
  const url = await laptop.listed(signal);
  const status = await laptop.status();
  if (status.host !== host || status.address !== pi.address) {
    throw new TetherError(
      "demo-failed",
      `the daemon found ${status.host} at ${status.address ?? "no address"}`,
    );
  }
  if (name !== null) timeline.done(`found ${host} by mDNS at ${pi.address} after ${foundAfter}`);
  timeline.done(`tethered after ${since(started)}, its host key checked`);
  const how = status.transport === "socket" ? "its socket" : "nix-daemon --stdio";
  timeline.done(`the Pi's nix-daemon answers through ${how}: version ${status.nixVersion ?? "unknown"}`);
  timeline.done(`Nix is told: extra-substituters = ${url}`);

  await fetchAndTell(stage, "an album", url, store.album, publicKey);
  if (real) {
    const before = performance.now();
    await laptop.nix.run("nix-store", ["-r", store.letter], signal);
    await laptop.nix.run("nix-store", ["--verify-path", store.letter, store.album], signal);
    timeline.done(
      `nix-store -r took a letter and the album it refers to from there in ${since(before)}; verified`,
    );
  } else {
    await fetchAndTell(stage, "a letter", url, store.letter, publicKey);
  }

  const left = performance.now();
  await name?.goodbye();
  await pi.leave();
  timeline.note(`the Pi leaves: ${name === null ? "its" : "its name is withdrawn, its"} connections are cut`);
  await laptop.unlisted(signal);
  timeline.done(`unlisted after ${since(left)}: Nix runs as if there were no such cache`);
  const asked = performance.now();
  const answer = await lookUp(url, store.postcard, signal);
  if (answer !== 404) throw new TetherError("demo-failed", `a lookup was answered ${answer}, not 404`);
  timeline.done(`a build that asks all the same is told "not here" (404) after ${since(asked)}, and goes on`);
  await delay(absenceMs, signal);

  const returned = performance.now();
  await pi.comeBack();
  await name?.announce();
  timeline.note(name === null ? "the Pi returns" : "the Pi returns, and announces its name");
  const urlAgain = await laptop.listed(signal);
  timeline.done(`found and tethered again after ${since(returned)}: ${urlAgain}`);
  await fetchAndTell(stage, "a postcard", urlAgain, store.postcard, publicKey);

  const code = await laptop.stop();
  if (code !== 0) throw new TetherError("demo-failed", `the daemon ended with ${code ?? "a signal"}`);
  if (await laptop.isListed()) throw new TetherError("demo-failed", "the daemon left its cache listed");
  timeline.done("the daemon stopped, and left Nix no cache to ask");
}

async function fetchAndTell(
  { timeline, signal }: Stage,
  what: string,
  url: string,
  path: string,
  publicKey: string,
): Promise<void> {
  const before = performance.now();
  const bytes = await fetchPath(url, path, publicKey, signal);
  timeline.done(
    `${what} came through the gateway in ${since(before)}: ${size(bytes)}, hash and signature right`,
  );
}

/** Gives the Pi a name that can be asked for, or null where multicast does not work on loopback; says which. */
async function nameThePi({ timeline, signal, defer }: Stage, address: string): Promise<LoopbackName | null> {
  const name = openLoopbackName(address);
  defer(() => name.close());
  await name.announce();
  if (await isFound(name.name, signal)) {
    timeline.done(`the Pi's name is ${name.name}, answered for by multicast on ${address}`);
    return name;
  }
  const trouble = name.trouble();
  await name.close();
  timeline.note(
    `multicast does not work on ${address} here${trouble === null ? "" : ` (${trouble})`}, so the daemon is told the ` +
      `address; a real Pi it looks for by its .local name`,
  );
  return null;
}

/** The real Nix where there is one that can keep a throw-away store, else the small one; says which and why. */
async function openStore(stage: Stage): Promise<{ store: DemoStore; real: boolean }> {
  const { folder, path, timeline, signal } = stage;
  const keep = (store: DemoStore): DemoStore => {
    stage.defer(() => store.close());
    timeline.done(`the Pi's store is filled and signed: ${store.label}`);
    return store;
  };
  if (!path.split(":").some((dir) => existsSync(join(dir, "nix-daemon")))) {
    timeline.note("Nix is not installed here, so a small store inside this program stands in for it");
    return { store: keep(makeEmbeddedStore()), real: false };
  }
  try {
    return { store: keep(await makeNixStore(join(folder, "pi"), { path, signal })), real: true };
  } catch (error) {
    signal.throwIfAborted();
    const why =
      messageOf(error)
        .split("\n")
        .find((line) => line.includes("error:")) ?? messageOf(error);
    timeline.note(`Nix can not keep a throw-away store here (${why.trim()}); a small one stands in for it`);
    return { store: keep(makeEmbeddedStore()), real: false };
  }
}

/** Removes a folder with Nix stores in it, whose own folders nobody may write to. */
async function removeTree(folder: string): Promise<void> {
  await unlock(folder);
  await rm(folder, { recursive: true, force: true, maxRetries: 3 });
}

async function unlock(folder: string): Promise<void> {
  await chmod(folder, 0o700);
  const entries = await readdir(folder, { withFileTypes: true });
  for (const entry of entries) if (entry.isDirectory()) await unlock(join(folder, entry.name));
}

function since(start: number): string {
  return spell(performance.now() - start);
}
