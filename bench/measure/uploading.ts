// (g) `nix copy` of what was made here to the Pi: into our forward's socket, and by ssh-ng://.

import { createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { inTurn, scaled, type Bench, type Measurement } from "../bench.js";
import type { Setting } from "../series.js";
import { exportOf, largePaths, pathsOf, smallClosure, type Planned } from "../world/closures.js";
import { startDelayProxy } from "../world/delay-proxy.js";
import { makeLaptop, startTether } from "../world/laptop.js";
import { makePi, piHost } from "../world/pi.js";
import type { NixVersion } from "../../test/support/private-nix.js";

export const uploading: Measurement = {
  letters: "g",
  run: async (bench) => {
    const small = smallClosure("up-small", scaled(bench, 500));
    const large = largePaths("up-large", 5, scaled(bench, 200e6));
    const tasks: Task[] = [
      { what: `${small.length} small paths`, closure: small, roots: pathsOf(small).slice(0, 1) },
      { what: `five of ${(large[0]?.bytes ?? 0) / 1e6} MB`, closure: large, roots: pathsOf(large) },
    ];
    for (const nix of bench.options.nix) {
      for (const delayMs of bench.options.delays) {
        for (const task of tasks) {
          const setting = { measure: "g", what: `upload of ${task.what}`, nix, delayMs };
          await inTurn(bench, ["nix-tether", "ssh-ng"], (way) => uploadOnce(bench, setting, nix, task, way));
        }
      }
    }
  },
};

interface Task {
  readonly what: string;
  readonly closure: readonly Planned[];
  readonly roots: readonly string[];
}

/** One upload into a new and empty store. */
function uploadOnce(bench: Bench, setting: Setting, nix: NixVersion, task: Task, way: string): Promise<void> {
  return bench.scope.within(async (scope) => {
    const pi = await makePi(scope, nix);
    const { ports } = await scope.add(startDelayProxy(setting.delayMs ?? 0, [pi.sshd.port]));
    const [port = 0] = ports;
    const laptop = await makeLaptop(scope, nix, pi, await pi.sshConfig(port));
    const file = join(laptop.nix.dir, "import");
    await pipeline(Readable.from(exportOf(task.closure)), createWriteStream(file));
    await laptop.nix.run(`nix-store --import <${file} >/dev/null`);
    await rm(file);
    let target = `ssh-ng://${piHost}`;
    if (way === "nix-tether") {
      const { home } = await startTether(scope, laptop, pi, port, { profiles: bench.options.profile });
      target = `unix://${home.socket("pi")}`;
    }
    const seconds = await laptop.time(`nix copy --no-check-sigs --to '${target}' ${task.roots.join(" ")}`);
    const { stdout } = await pi.nix.run(`nix-store -qR ${task.roots.join(" ")} | wc -l`);
    if (Number(stdout) !== task.closure.length) throw new Error(`${way}: ${stdout.trim()} paths arrived`);
    bench.recorder.add(setting, way, "s", seconds);
    bench.say(`g ${setting.what}, Nix ${nix}, ${setting.delayMs} ms, ${way}: ${seconds.toFixed(2)} s`);
  });
}
