// (i) `nix-tether status`, which prompts run, beside Node that does nothing.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { inTurn, scaled, type Measurement } from "../bench.js";
import { makeLaptop, startTether } from "../world/laptop.js";
import { makePi } from "../world/pi.js";

export const status: Measurement = {
  letters: "i",
  run: async (bench) => {
    const [nix = "2.8"] = bench.options.nix;
    const pi = await makePi(bench.scope, nix);
    const laptop = await makeLaptop(bench.scope, nix, pi, await pi.sshConfig(pi.sshd.port));
    const { home } = await startTether(bench.scope, laptop, pi, pi.sshd.port);
    const [node = "node", ...program] = home.argv;
    const setting = { measure: "i", what: "from start to end", nix: null, delayMs: null };
    const variants = [
      { name: "node -e 0", args: ["-e", "0"] },
      { name: "status", args: [...program, "status"] },
      { name: "status --json", args: [...program, "status", "--json"] },
    ];
    const run = async ({ name, args }: { name: string; args: string[] }): Promise<void> => {
      const began = performance.now();
      const child = spawn(node, args, { env: home.env, stdio: "ignore" });
      const [code] = (await once(child, "close")) as [number | null];
      bench.recorder.add(setting, name, "ms", performance.now() - began);
      if (code !== 0) throw new Error(`${name} ended with ${code}`);
    };
    await inTurn(bench, variants, run, Math.max(5, scaled(bench, 60)));
    bench.say("i status: done");
  },
};
