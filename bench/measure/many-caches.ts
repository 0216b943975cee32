// (s) One cache configured, or several, all on one machine behind different ports; or one in reach and the others away.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { NixVersion } from "../../test/support/private-nix.js";
import { freePort } from "../../test/support/sshd.js";
import { inTurn, scaled, type Bench } from "../bench.js";
import { smallClosure } from "../world/closures.js";
import { costOf } from "../world/cpu.js";
import { makeLaptop, startTether, type Tether } from "../world/laptop.js";
import { makePi } from "../world/pi.js";
import { askForNarinfos, missingPaths } from "./missing.js";
import { manyDependencies } from "./nothing-to-do.js";

const questions = 500;

interface Configured {
  readonly name: string;
  /** In reach or not. */
  readonly count: number;
  readonly tether: Tether;
}

/** Ports at which nobody answers. */
async function awayFrom(names: readonly string[]): Promise<Record<string, number>> {
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await freePort()] as const)));
}

export async function manyCaches(bench: Bench, nix: NixVersion): Promise<void> {
  const { recorder, scope, options } = bench;
  const most = options.scale < 1 ? 3 : 10;
  const ports: number[] = [];
  while (ports.length < most - 1) ports.push(await freePort());
  const pi = await makePi(
    scope,
    nix,
    ports.map((port) => `ListenAddress 127.0.0.1:${port}`),
  );
  await pi.fill(smallClosure("warm-up", 50));
  const laptop = await makeLaptop(scope, nix, pi, await pi.sshConfig(pi.sshd.port));
  const others = (count: number): Record<string, number> =>
    Object.fromEntries(ports.slice(0, count - 1).map((port, at) => [`pi-${at + 2}`, port]));
  const start = (more: Record<string, number>, othersAway: readonly string[] = []): Promise<Tether> =>
    startTether(scope, laptop, pi, pi.sshd.port, {
      others: more,
      othersAway,
      profiles: bench.options.profile,
    });
  const away = await awayFrom(Object.keys(others(most)));
  // In the order of the work, for who compares the last with the first.
  const all: Configured[] = [{ name: "1 cache", count: 1, tether: await start(others(1)) }];
  all.push({ name: `1 and ${most - 1} away`, count: most, tether: await start(away, Object.keys(away)) });
  if (most > 3) all.push({ name: "3 caches", count: 3, tether: await start(others(3)) });
  all.push({ name: `${most} caches`, count: most, tether: await start(others(most)) });

  const setting = { measure: "s", nix, delayMs: 0 };
  const file = join(laptop.nix.dir, "top.nix");
  await writeFile(file, manyDependencies);
  const build = `nix build --no-link -f ${file}`;
  await laptop.run(build);
  await inTurn(bench, all, async ({ name, tether }, round) => {
    const { pid } = tether.daemon;
    const before = await costOf(pid);
    let seconds = 0;
    for (const url of tether.urls)
      seconds += await askForNarinfos(new URL(url), missingPaths(`${name} ${round}`, questions), 404);
    const after = await costOf(pid);
    const asked = `${questions} that are not there, asked of each cache: for one`;
    recorder.add({ ...setting, what: asked }, name, "ms", (seconds * 1000) / tether.urls.length);
    const cpuMs = (after.cpuMs - before.cpuMs) / tether.urls.length;
    recorder.add({ ...setting, what: `${asked}, CPU` }, name, "ms", cpuMs);
    for (let runs = Math.max(1, scaled(bench, 5)); runs > 0; runs -= 1) {
      const config = join(tether.home.dir, "config");
      const took = await laptop.time(`XDG_CONFIG_HOME=${config} ${build}`);
      recorder.add({ ...setting, what: "nix build, all of it there" }, name, "ms", took * 1000);
    }
  });

  const idleSeconds = Math.min(60, options.idleSeconds / 5);
  bench.say(`s caches: idling for ${idleSeconds} s`);
  const costs = (): Promise<Awaited<ReturnType<typeof costOf>>[]> =>
    Promise.all(all.map(({ tether }) => costOf(tether.daemon.pid)));
  // What was asked of them is over by then.
  await sleep(idleSeconds * 500);
  const before = await costs();
  await sleep(idleSeconds * 1000);
  const after = await costs();
  for (const [at, { name, count }] of all.entries()) {
    const [from, to] = [before[at], after[at]];
    if (from === undefined || to === undefined) continue;
    const perMinute = 60 / idleSeconds;
    const each = perMinute / count;
    recorder.add({ ...setting, what: "idle, each cache" }, name, "ms/min", (to.cpuMs - from.cpuMs) * each);
    recorder.add({ ...setting, what: "idle, each cache" }, name, "/min", (to.wakeUps - from.wakeUps) * each);
    recorder.add({ ...setting, what: "RSS of all caches" }, name, "MB", to.residentMB);
  }
}
