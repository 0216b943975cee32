// Records when NetworkManager announced on the laptop's system bus that a cable was pulled or plugged in.

import { createInterface } from "node:readline";
import { z } from "zod";
import type { Lab, Running } from "./lab.js";

const carrierSignal = z.object({
  "timestamp-realtime": z.number(),
  member: z.literal("PropertiesChanged"),
  payload: z.object({
    data: z.tuple([
      z.literal("org.freedesktop.NetworkManager.Device.Wired"),
      z.object({ Carrier: z.object({ data: z.boolean() }) }),
      z.unknown(),
    ]),
  }),
});

export class CarrierWatch {
  readonly #monitor: Running;
  readonly #seen: { carrier: boolean; at: number }[] = [];
  readonly #lab: Lab;

  private constructor(lab: Lab, monitor: Running) {
    this.#lab = lab;
    this.#monitor = monitor;
  }

  /** Listens from now on; resolves when the bus has taken the subscription. */
  static async start(lab: Lab): Promise<CarrierWatch> {
    const child = lab.start(
      "laptop",
      "exec busctl --system --json=short monitor org.freedesktop.NetworkManager",
    );
    const watch = new CarrierWatch(lab, child);
    const words: string[] = [];
    child.stderr.setEncoding("utf8").on("data", (text: string) => words.push(text));
    createInterface({ input: child.stdout }).on("line", (line) => watch.#take(line));
    await lab.waitFor("busctl monitor", async () => words.join("").includes("Monitoring bus message stream"));
    return watch;
  }

  #take(line: string): void {
    const signal = carrierSignal.safeParse(JSON.parse(line));
    if (!signal.success) return;
    const at = signal.data["timestamp-realtime"] / 1000;
    this.#seen.push({ carrier: signal.data.payload.data[1].Carrier.data, at });
  }

  /** When the next such change was announced, in milliseconds since the epoch; those before it are forgotten. */
  next(carrier: boolean): Promise<number> {
    return this.#lab.waitFor(`NetworkManager's carrier ${carrier}`, async () => {
      const index = this.#seen.findIndex((change) => change.carrier === carrier);
      return index < 0 ? undefined : this.#seen.splice(0, index + 1).at(-1)?.at;
    });
  }

  async stop(): Promise<void> {
    await this.#monitor.stop();
  }
}
