// (s) What grows with what: our cost beside the number of paths on the Pi, of Nix processes, and of caches. It must grow no
// faster than the work.

import type { Measurement } from "../bench.js";
import { manyCaches } from "./many-caches.js";
import { manyPaths } from "./many-paths.js";
import { manyProcesses } from "./many-processes.js";

export const scale: Measurement = {
  letters: "s",
  run: async (bench) => {
    const [nix = "2.34"] = bench.options.nix;
    for (const part of [manyPaths, manyProcesses, manyCaches])
      await bench.scope.within((scope) => part({ ...bench, scope }, nix));
  },
};
