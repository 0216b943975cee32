// (l) A slow machine: for how long our event loop stands still while the daemon works, freely and with a fifth of a core;
// and what it costs while nobody is near.

import { createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { eventually } from "../../test/support/eventually.js";
import type { NixVersion } from "../../test/support/private-nix.js";
import { inTurn, scaled, type Bench, type Measurement } from "../bench.js";
import { exportOf, largePaths, pathsOf, smallClosure, type Planned } from "../world/closures.js";
import { costOf } from "../world/cpu.js";
import { addCrowd } from "../world/crowd.js";
import { makeLaptop, startTether, type Laptop } from "../world/laptop.js";
import { makePi, type Pi } from "../world/pi.js";
import { makeQuota, makeWatch } from "../world/turns.js";
import { askForNarinfos, missingPaths } from "./missing.js";

/** Of one core. */
const share = 0.2;

export const lowPower: Measurement = {
  letters: "l",
  run: async (bench) => {
    const [nix = "2.34"] = bench.options.nix;
    const quota = await makeQuota(bench.scope, share);
    bench.say(`l quota: ${quota === null ? "there is none to be had here" : `${share * 100} % of a core`}`);
    const pi = await makePi(bench.scope, nix);
    const small = smallClosure("low-small", scaled(bench, 2_000));
    const large = largePaths("low-large", 1, scaled(bench, 200e6));
    for (const closure of [small, large]) await pi.fill(closure);
    const crowd = scaled(bench, 200_000);
    await addCrowd(pi.nix, crowd);
    const limited = quota === null ? [] : [{ name: "with a quota", group: quota }];
    const quick = bench.options.scale < 1 && quota !== null;
    const variants = [...(quick ? [] : [{ name: "freely", group: null }]), ...limited];
    await inTurn(bench, variants, ({ name, group }, round) =>
      work(bench, nix, pi, { small, large, crowd }, { name, group, round }),
    );
    await away(bench, nix, pi);
  },
};

/** What the Pi has. */
interface Contents {
  readonly small: readonly Planned[];
  readonly large: readonly Planned[];
  /** So many more. */
  readonly crowd: number;
}

/** Long enough for the daemon to have got a list of all paths, where it wants one. */
const listMs = 3_000;

/** Starts the daemon, fetches, asks and uploads. */
function work(
  bench: Bench,
  nix: NixVersion,
  pi: Pi,
  { small, large, crowd }: Contents,
  variant: { readonly name: string; readonly group: string | null; readonly round: number },
): Promise<void> {
  return bench.scope.within(async (scope) => {
    const { name, group, round } = variant;
    const laptop = await makeLaptop(scope, nix, pi, await pi.sshConfig(pi.sshd.port));
    const built = smallClosure(`low-up-${round}-${group === null ? 0 : 1}`, scaled(bench, 500));
    await importInto(laptop, built);
    const watch = makeWatch(laptop.nix.dir, name.replaceAll(/\W/g, ""), { group, turns: true });
    const { home, daemon, url } = await startTether(scope, laptop, pi, pi.sshd.port, {
      env: watch.env,
      config: '[uploads]\nto = ["pi"]\n',
      profiles: bench.options.profile,
    });
    const record = async (what: string): Promise<void> => {
      const seen = await watch.read(daemon.pid);
      const setting = { measure: "l", what: `${what}: longest turn of the event loop`, nix, delayMs: 0 };
      bench.recorder.add(setting, `${name}, CPU`, "ms", seen.cpuMs);
      bench.recorder.add(setting, `${name}, by the clock`, "ms", seen.wallMs);
      bench.say(`l ${what}, ${name}: ${seen.cpuMs.toFixed(0)} ms of CPU`);
    };
    await record("start until online");
    const realise = (paths: readonly string[]): Promise<string> =>
      laptop.run(`nix-store -r ${paths.join(" ")} --option substituters '${url}' >/dev/null 2>&1`);
    await realise(pathsOf(small).slice(0, 1));
    await record(`fetching ${small.length} small paths`);
    await realise(pathsOf(large));
    await record(`fetching ${(large[0]?.bytes ?? 0) / 1e6} MB`);
    const seeds = bench.options.scale < 1 ? ["before"] : ["before", "while", "after"];
    for (const seed of seeds) {
      await askForNarinfos(new URL(url), missingPaths(seed, 500), 404);
      if (seeds.length > 1) await sleep(listMs);
    }
    await record(`asking in vain, beside ${crowd.toLocaleString("en")} paths`);
    const queued = await home.run("enqueue", ...pathsOf(built));
    if (queued.code !== 0) throw new Error(`enqueue: ${queued.stderr}`);
    const uploaded = async (): Promise<boolean> => (await home.status()).uploads.uploaded === built.length;
    await eventually("all is uploaded", uploaded, 120_000);
    await record(`uploading ${built.length} paths`);
  });
}

async function importInto(laptop: Laptop, closure: readonly Planned[]): Promise<void> {
  const file = join(laptop.nix.dir, "import");
  await pipeline(Readable.from(exportOf(closure)), createWriteStream(file));
  await laptop.nix.run(`nix-store --import <${file} >/dev/null`);
  await rm(file);
}

/** A name that nobody answers to. */
function away(bench: Bench, nix: NixVersion, pi: Pi): Promise<void> {
  return bench.scope.within(async (scope) => {
    const seconds = Math.min(120, bench.options.idleSeconds / 5);
    const laptop = await makeLaptop(scope, nix, pi, await pi.sshConfig(pi.sshd.port));
    const watch = makeWatch(laptop.nix.dir, "away", { group: null, turns: false });
    const { daemon } = await startTether(scope, laptop, pi, pi.sshd.port, {
      away: true,
      host: "nobody-has-this-name.local",
      env: watch.env,
    });
    bench.say(`l away for ${seconds} s, after ${seconds / 2} s of getting used to it`);
    await sleep(seconds * 500);
    await watch.read(daemon.pid);
    const before = await costOf(daemon.pid);
    await sleep(seconds * 1000);
    const after = await costOf(daemon.pid);
    const { datagramBytes } = await watch.read(daemon.pid);
    const setting = { measure: "l", what: `away for ${seconds} s, without a bus`, nix: null, delayMs: null };
    const perMinute = 60 / seconds;
    bench.recorder.add(setting, "CPU", "ms/min", (after.cpuMs - before.cpuMs) * perMinute);
    bench.recorder.add(setting, "wake-ups", "/min", (after.wakeUps - before.wakeUps) * perMinute);
    bench.recorder.add(setting, "sent", "bytes/min", datagramBytes * perMinute);
  });
}
