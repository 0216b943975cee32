// (h) How long a build waits for its post-build hook: ours, beside others. hook.sh does the work.

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { repositoryFile } from "../../test/support/repository.js";
import { scaled, type Measurement } from "../bench.js";

export const hook: Measurement = {
  letters: "h",
  run: async (bench) => {
    const runs = Math.max(5, scaled(bench, 60));
    const { stdout } = await promisify(execFile)(repositoryFile("bench/measure/hook.sh"), [String(runs)]);
    const setting = { measure: "h", what: "a post-build hook", nix: null, delayMs: null };
    for (const line of stdout.trim().split("\n")) {
      const [name = "", microseconds] = line.split(" ");
      bench.recorder.add(setting, name, "ms", Number(microseconds) / 1000);
    }
    bench.say("h hook: done");
  },
};
