import pino from "pino";
import { expect, it } from "vitest";
import { createController } from "../../src/daemon/controller.js";
import { connection } from "../support/states.js";

const pi = new Map([["pi", [{ networks: null, onlyWhenAsked: false }]]]);
const network = { state: { interfaces: [] }, connections: [] };
const log = pino({ level: "silent" });

it("applies one fact at a time, in the order posted, and goes on when applying fails", async () => {
  const seen: string[] = [];
  let busy = false;
  const controller = createController({
    ways: pi,
    network,
    paused: [],
    log,
    now: () => 0,
    random: () => 0.5,
    apply: async (states) => {
      expect(busy).toBe(false);
      busy = true;
      await new Promise((resolve) => setImmediate(resolve));
      busy = false;
      seen.push(states.get("pi")?.name ?? "");
      if (seen.length === 1) throw new Error("no space left");
    },
  });
  void controller.post({ cache: "pi", fact: { type: "due" } });
  void controller.post({ cache: "pi", fact: { type: "pause" } });
  await controller.post({ fact: { type: "wake", cause: "test" } });
  expect(seen).toEqual(["offline", "paused", "paused"]);
});

it("knows nothing of a cache that is not configured", async () => {
  const controller = createController({
    ways: new Map(),
    network,
    paused: [],
    log,
    now: () => 0,
    random: () => 0.5,
    apply: () => Promise.resolve(),
  });
  await controller.post({ cache: "pi", fact: { type: "due" } });
  expect(controller.states().size).toBe(0);
});

it("counts how often a cache was lost, and does not count pauses", async () => {
  const controller = createController({
    ways: pi,
    network,
    paused: [],
    log,
    now: () => 0,
    random: () => 0.5,
    apply: () => Promise.resolve(),
  });
  const goOnline = async (): Promise<void> => {
    await controller.post({ cache: "pi", fact: { type: "due" } });
    const attempt = controller.states().get("pi")?.attempt ?? 0;
    await controller.post({
      cache: "pi",
      fact: { type: "connected", attempt, way: 0, connection, network: network.state },
    });
    expect(controller.states().get("pi")?.name).toBe("online");
  };
  await goOnline();
  expect(controller.losses("pi")).toBe(0);
  await controller.post({ fact: { type: "sleep" } });
  expect(controller.losses("pi")).toBe(1);
  await controller.post({ fact: { type: "wake", cause: "test" } });
  await goOnline();
  await controller.post({ cache: "pi", fact: { type: "pause" } });
  await controller.post({ cache: "pi", fact: { type: "resume" } });
  expect(controller.losses("pi")).toBe(1);
});
