// (e) What every Nix command pays when there is nothing to fetch: with no cache, with the Pi online, and with it away.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "../../test/support/sshd.js";
import { inTurn, scaled, type Measurement } from "../bench.js";
import { startDelayProxy } from "../world/delay-proxy.js";
import { makeLaptop, startTether } from "../world/laptop.js";
import { makePi } from "../world/pi.js";

/** A thing with a hundred dependencies. */
export const manyDependencies = `
let
  make = name: inputs: derivation {
    inherit name inputs;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" "echo $inputs >$out" ];
  };
in make "top" (builtins.genList (n: make "dependency-\${toString n}" [ ]) 100)
`;

export const nothingToDo: Measurement = {
  letters: "e",
  run: async (bench) => {
    for (const nix of bench.options.nix) {
      for (const delayMs of bench.options.delays) {
        await bench.scope.within(async (scope) => {
          const pi = await makePi(scope, nix);
          const { ports } = await scope.add(startDelayProxy(delayMs, [pi.sshd.port]));
          const [port = 0] = ports;
          const laptop = await makeLaptop(scope, nix, pi, await pi.sshConfig(port));
          const online = await startTether(scope, laptop, pi, port);
          const away = await startTether(scope, laptop, pi, await freePort(), { away: true });
          const file = join(laptop.nix.dir, "top.nix");
          await writeFile(file, manyDependencies);
          const build = `nix build --no-link -f ${file}`;
          await laptop.run(build);
          const setting = { measure: "e", what: "nix build, all of it there", nix, delayMs };
          const variants = [
            { name: "no cache", config: join(laptop.nix.dir, "none") },
            { name: "online", config: join(online.home.dir, "config") },
            { name: "away", config: join(away.home.dir, "config") },
          ];
          const once = async ({ name, config }: { name: string; config: string }): Promise<void> => {
            const seconds = await laptop.time(`XDG_CONFIG_HOME=${config} ${build}`);
            bench.recorder.add(setting, name, "ms", seconds * 1000);
          };
          await inTurn(bench, variants, once, Math.max(3, scaled(bench, 30)));
          bench.say(`e Nix ${nix}, ${delayMs} ms: done`);
        });
      }
    }
  },
};
