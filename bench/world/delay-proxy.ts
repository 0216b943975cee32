// Starts the delaying proxy, and measures what it really adds.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer, type AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import { repositoryFile } from "../../test/support/repository.js";
import { withDeadline } from "../../src/util/abort.js";
import type { Disposable } from "../scope.js";
import { median } from "../statistics.js";

export interface DelayProxy extends Disposable {
  /** One for each port that it passes on to. */
  readonly ports: readonly number[];
}

/** In front of these ports of 127.0.0.1. With no delay there is none: the ports are the given ones. */
export async function startDelayProxy(delayMs: number, targets: readonly number[]): Promise<DelayProxy> {
  if (delayMs === 0) return { ports: targets, dispose: () => Promise.resolve() };
  const script = repositoryFile("bench/world/delay-proxy.py");
  const child = spawn("python3", [script, String(delayMs), ...targets.map(String)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  child.stdin.on("error", () => undefined);
  const ended = once(child, "close");
  const lines = createInterface({ input: child.stdout });
  const [line] = (await withDeadline(once(lines, "line"), 10_000, "starting the delaying proxy")) as [string];
  return {
    ports: JSON.parse(line) as number[],
    dispose: async () => {
      child.stdin.end();
      await ended;
    },
  };
}

/** The median of 50 round trips through a proxy of that delay, in milliseconds. */
export async function measureDelay(delayMs: number): Promise<number> {
  const echo = createServer({ noDelay: true }, (socket) => socket.on("error", () => undefined).pipe(socket));
  echo.listen(0, "127.0.0.1");
  await once(echo, "listening");
  const proxy = await startDelayProxy(delayMs, [(echo.address() as AddressInfo).port]);
  const socket = connect({ host: "127.0.0.1", port: proxy.ports[0] ?? 0, noDelay: true });
  const times: number[] = [];
  for (let n = 0; n < 51; n += 1) {
    const began = performance.now();
    socket.write("x");
    await once(socket, "data");
    times.push(performance.now() - began);
  }
  socket.destroy();
  echo.close();
  await proxy.dispose();
  return median(times.slice(1));
}
