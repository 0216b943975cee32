// The daemon is killed again and again while it takes in and uploads, at moments that a seed deals: nothing that was
// queued is lost, and nothing is sent that the other machine has. Real hook, real sshd, real Nix on both sides; what is
// sent is read off the wire, before the far nix-daemon.
//
// In long, with any seed:
//   UPLOAD_KILLS=1000 UPLOAD_SEED=anything npx vitest run --project integration test/integration/uploads-kill.test.ts

import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { lutimes, mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { QueueItem } from "../../src/control/messages.js";
import type { RunningDaemon } from "../support/daemon.js";
import { type DaemonFixture, makeDaemonFixture } from "../support/daemon-fixture.js";
import { eventually } from "../support/eventually.js";
import { hookScript } from "../support/hook.js";
import { type Arrival, isWhole, type NarTap, startNarTap } from "../support/nar-tap.js";
import { Random } from "../support/random.js";
import { expectArrived, makeUploadLaptop, validIn, type UploadLaptop } from "../support/upload-laptop.js";

const kills = Number(process.env["UPLOAD_KILLS"] ?? 50);
const seed = process.env["UPLOAD_SEED"] ?? "winter";
/** Laptops at a time, for much of a round is waiting. */
const lanes = 2;

let fixture: DaemonFixture;

beforeAll(async () => {
  fixture = await makeDaemonFixture();
});

afterAll(() => fixture?.dispose());

test(`${kills} times killed`, { timeout: 60_000 + kills * 6_000 }, async () => {
  const done = await Promise.all(
    Array.from({ length: lanes }, (_, lane) => killAndCheck(lane, Math.ceil(kills / lanes))),
  );
  const sum = (of: keyof Done): number => done.reduce((total, one) => total + one[of], 0);
  process.stderr.write(
    `${kills} kills, seed ${seed}: ${sum("cut")} in the middle of a NAR, ${sum("sending")} with something sent, ` +
      `${sum("paths")} paths, ${sum("again")} NARs sent again that had not arrived\n`,
  );
  // Else it would show nothing.
  expect(sum("cut")).toBeGreaterThan(kills / 20);
  expect(sum("sending")).toBeGreaterThan(kills / 4);
});

interface Done {
  readonly cut: number;
  readonly sending: number;
  readonly paths: number;
  readonly again: number;
}

async function killAndCheck(lane: number, rounds: number): Promise<Done> {
  const random = new Random(`${seed} ${lane}`);
  const pi = fixture.far.store;
  const laptop = await makeUploadLaptop(fixture);
  const sshd = await fixture.sshd();
  const tap = await startNarTap(fixture.far.daemonSocket, join(laptop.home.dir, "tap.sock"));
  const queued = new Set<string>();
  const tally = { cut: 0, sending: 0 };
  try {
    await laptop.configure(sshd, { "remote-socket": tap.socket });
    const first = laptop.home.start();
    await laptop.untilUp();
    await kill(first);
    for (let round = 0; round < rounds; round += 1) {
      const there = await validIn(pi, [...queued]);
      const before = tap.arrivals.length;
      const paths = await makePaths(laptop, random, `${lane}-${round}`);
      await playRound({ laptop, tap, random, paths, queued });
      await eventually("the far nix-daemon has put it down", () => tap.connections === 0, 20_000);
      const sent = tap.arrivals.slice(before);
      if (sent.length > 0) tally.sending += 1;
      if (sent.some((one) => !isWhole(one))) tally.cut += 1;
      const where = `seed ${seed}, lane ${lane}, round ${round}`;
      expect(tap.problems, where).toEqual([]);
      expect(
        sent.filter(({ path }) => there.has(path)),
        `${where}: sent though it was there`,
      ).toEqual([]);
      const whole = sent.filter(isWhole).map(({ path }) => path);
      expect(new Set(whole).size, `${where}: sent twice`).toBe(whole.length);
      expect(await readdir(join(laptop.spool, "aside")), where).toEqual([]);
      if (random.chance(0.1)) await laptop.store.run("nix-store", "--gc");
    }
    const there = await validIn(pi, [...queued]);
    const before = tap.arrivals.length;
    const last = laptop.home.start();
    await laptop.untilUp();
    const waiting = async (): Promise<QueueItem[]> =>
      (await laptop.queue()).filter(({ path }) => queued.has(path));
    await eventually("all have arrived", async () => (await waiting()).length === 0, 60_000);
    // What a garbage collection took, since the daemon was killed before it could promise anything.
    for (const { targets } of await laptop.queue()) expect(targets[0]?.code).toBe("path-gone");
    await laptop.queue({ command: "queue-drop", paths: null });
    const sent = tap.arrivals.slice(before);
    expect(sent.filter(({ path }) => there.has(path))).toEqual([]);
    await expectArrived(pi, [...queued]);
    // What a nix-store made after its daemon had been killed is swept when it is a minute old.
    await kill(last);
    const old = Date.now() / 1000 - 120;
    for (const name of await laptop.roots()) await lutimes(join(laptop.spool, "roots", name), old, old);
    laptop.home.start();
    await eventually("no roots are left", async () => (await laptop.roots()).length === 0, 30_000);
    await laptop.store.run("nix-store", "--gc");
    const left = await readdir(join(laptop.store.dir, "root/nix/store"));
    expect(left.filter((name) => name.includes("killed"))).toEqual([]);
    const again = tap.arrivals.length - new Set(tap.arrivals.map(({ path }) => path)).size;
    return { ...tally, paths: queued.size, again };
  } catch (error) {
    process.stderr.write(laptop.home.said().slice(-5_000));
    throw error;
  } finally {
    await laptop.dispose();
    await tap.close();
    await sshd.stop();
  }
}

interface Round {
  readonly laptop: UploadLaptop;
  readonly tap: NarTap;
  readonly random: Random;
  readonly paths: readonly string[];
  /** Gets what must arrive from now on. */
  readonly queued: Set<string>;
}

/** Queues by the hook and by hand, and kills the daemon a while after one of the moments of an upload. */
async function playRound({ laptop, tap, random, paths, queued }: Round): Promise<void> {
  const before = tap.arrivals.length;
  const byHook = paths.filter(() => random.chance(0.5));
  const byHand = paths.filter((path) => !byHook.includes(path));
  const early = random.chance(0.5);
  const [moment, most] = random.pick([
    { weight: 2, is: ["start", 1_000] },
    { weight: 2, is: ["queued", 300] },
    { weight: 4, is: ["sending", 40] },
    { weight: 3, is: ["arrived", 100] },
  ] as const).is;
  const after = random.between(0, most);
  const leave = async (): Promise<void> => {
    if (byHook.length === 0) return;
    await runHook(laptop, byHook);
    for (const path of byHook) queued.add(path);
  };
  if (early) await leave();
  const daemon = laptop.home.start();
  const enqueue = async (): Promise<void> => {
    const isUp = (): Promise<boolean> => laptop.uploads().then(Boolean, () => dead.has(daemon));
    await eventually("the daemon answers", isUp, 30_000);
    if (!early) await leave();
    if (byHand.length > 0) await laptop.queue({ command: "enqueue", paths: byHand });
    for (const path of byHand) queued.add(path);
  };
  const enqueued = enqueue().catch((error: unknown) => {
    if (!dead.has(daemon)) throw error;
  });
  const sent = (): readonly Arrival[] => tap.arrivals.slice(before);
  if (moment !== "start") await enqueued;
  const isCome = moment === "arrived" ? isWhole : () => moment === "sending";
  // All may be there already. That is asked now and then only, for the daemon has other things to do.
  let looks = 0;
  const isEmpty = async (): Promise<boolean> =>
    (looks += 1) % 20 === 0 && (await laptop.uploads()).waiting === 0;
  if (moment === "sending" || moment === "arrived")
    await eventually(`something is ${moment}`, async () => sent().some(isCome) || (await isEmpty()), 20_000);
  await sleep(after);
  await kill(daemon);
  await enqueued;
}

const dead = new WeakSet<RunningDaemon>();

async function kill(daemon: RunningDaemon): Promise<void> {
  dead.add(daemon);
  daemon.kill("SIGKILL");
  const { code } = await daemon.ended;
  // It has not ended by itself before.
  expect(code).toBeNull();
}

/** Some small paths and some large ones, in the laptop's store. */
async function makePaths(laptop: UploadLaptop, random: Random, name: string): Promise<string[]> {
  const folder = join(laptop.home.dir, `made-${name}`);
  await mkdir(folder);
  const files: string[] = [];
  for (let n = random.between(1, 4); n > 0; n -= 1) {
    const file = join(folder, `killed-${name}-${n}`);
    await writeFile(file, randomBytes(random.chance(0.5) ? 2 * 1024 * 1024 : random.between(1, 4_096)));
    files.push(file);
  }
  return (await laptop.store.run("nix-store", "--add", ...files)).trim().split("\n");
}

async function runHook(laptop: UploadLaptop, paths: readonly string[]): Promise<void> {
  const conf = join(laptop.home.dir, "hook.conf");
  await writeFile(conf, `user = root 0:0 ${laptop.spool}\n`);
  const { stderr } = await promisify(execFile)(hookScript, [], {
    env: {
      PATH: process.env["PATH"],
      NIX_TETHER_HOOK_CONF: conf,
      NIX_STATE_DIR: join(laptop.store.dir, "root/nix/var/nix"),
      OUT_PATHS: paths.join(" "),
    },
  });
  expect(stderr).toBe("");
}
