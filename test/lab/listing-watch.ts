// Samples, inside the laptop, whether a cache is listed and which interfaces have a carrier, every 2 ms.

import { createInterface } from "node:readline";
import type { Lab, Running } from "./lab.js";

/** What was seen from this moment on, until the next one. */
export interface Sample {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly listed: boolean;
  /** The names of the interfaces that have a carrier. */
  readonly carriers: readonly string[];
}

// Plain Node, for it runs in the machine. One line for each change.
const sampler = `
  const { readFileSync, readdirSync } = require("node:fs");
  const read = (file) => { try { return readFileSync(file, "latin1"); } catch { return ""; } };
  let last = "";
  setInterval(() => {
    const carriers = readdirSync("/sys/class/net").filter((name) => name !== "lo" && read("/sys/class/net/" + name + "/carrier")[0] === "1");
    const listed = /^extra-substituters/m.test(read("/home/dev/.config/nix/nix-tether.conf"));
    const now = JSON.stringify({ listed, carriers });
    if (now !== last) console.log(JSON.stringify({ at: Date.now(), listed, carriers }));
    last = now;
  }, 2);
`;

export class ListingWatch {
  readonly samples: Sample[] = [];
  readonly #running: Running;

  private constructor(running: Running) {
    this.#running = running;
  }

  /** Resolves when the first sample is there. */
  static async start(lab: Lab): Promise<ListingWatch> {
    const running = lab.start("laptop", `exec /opt/node -e '${sampler}'`);
    const watch = new ListingWatch(running);
    createInterface({ input: running.stdout }).on("line", (line) =>
      watch.samples.push(JSON.parse(line) as Sample),
    );
    await lab.waitFor("the sampler", async () => watch.samples.length > 0);
    return watch;
  }

  stop(): Promise<void> {
    return this.#running.stop();
  }
}
