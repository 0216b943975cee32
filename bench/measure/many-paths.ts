// (s) Five hundred questions to a Pi that has few valid paths, or very many.

import type { NixVersion } from "../../test/support/private-nix.js";
import { inTurn, scaled, type Bench } from "../bench.js";
import { smallClosure } from "../world/closures.js";
import { costOf } from "../world/cpu.js";
import { addCrowd } from "../world/crowd.js";
import { makeLaptop, startTether } from "../world/laptop.js";
import { makePi } from "../world/pi.js";
import { askForNarinfos, missingPaths } from "./missing.js";

const questions = 500;

/** A daemon, and the Pi's paths that were not asked for yet. */
interface Asked {
  readonly count: number;
  readonly url: URL;
  readonly pid: number;
  readonly paths: string[];
}

export async function manyPaths(bench: Bench, nix: NixVersion): Promise<void> {
  const { recorder, scope } = bench;
  const sizes = [2_000, 20_000, ...(bench.options.scale < 1 ? [] : [200_000])];
  const all: Asked[] = [];
  for (const count of sizes) {
    const pi = await makePi(scope, nix);
    await pi.fill(smallClosure("warm-up", 50));
    const paths = await addCrowd(pi.nix, count);
    const laptop = await makeLaptop(scope, nix, pi, await pi.sshConfig(pi.sshd.port));
    const tether = await startTether(scope, laptop, pi, pi.sshd.port, { profiles: bench.options.profile });
    all.push({ count, url: new URL(tether.url), pid: tether.daemon.pid, paths });
  }
  const record = async (asked: Asked, what: string, ask: () => Promise<number>): Promise<void> => {
    const setting = { measure: "s", nix, delayMs: 0 };
    const variant = `${asked.count.toLocaleString("en")} paths`;
    const before = await costOf(asked.pid);
    const seconds = await ask();
    const after = await costOf(asked.pid);
    recorder.add({ ...setting, what: `${questions} ${what}` }, variant, "ms", seconds * 1000);
    recorder.add(
      { ...setting, what: `${questions} ${what}, CPU` },
      variant,
      "ms",
      after.cpuMs - before.cpuMs,
    );
    recorder.add({ ...setting, what: "RSS beside the Pi's paths" }, variant, "MB", after.residentMB);
  };
  await inTurn(
    bench,
    all,
    async (asked) => {
      const there = asked.paths.splice(0, questions);
      await record(asked, "that are there", () => askForNarinfos(asked.url, there, 200));
      const missing = missingPaths(`${asked.paths.length}`, questions);
      await record(asked, "that are not there", () => askForNarinfos(asked.url, missing, 404));
    },
    Math.max(2, Math.min(4, scaled(bench, 4))),
  );
  bench.say("s paths: done");
}
