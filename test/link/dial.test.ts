import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { dial, type Dialled, type DialFailure } from "../../src/link/dial.js";
import type { Endpoint } from "../../src/link/link.js";

const servers: Server[] = [];
const accepted: Socket[] = [];
afterEach(() => {
  for (const socket of accepted.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
});

async function listenOn(address: string): Promise<number> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    accepted.push(socket);
  });
  servers.push(server);
  server.listen(0, address);
  await once(server, "listening");
  const bound = server.address();
  if (bound === null || typeof bound === "string") throw new Error("no port");
  return bound.port;
}

const endpoint = (address: string): Endpoint => ({ address, family: 4 });

test("hands out every address that answers and reports the others", async () => {
  const first = await listenOn("127.0.0.1");
  const second = await listenOn("127.0.0.2");
  const failures: DialFailure[] = [];
  const seen: Dialled[] = [];
  const targets = [
    { endpoint: endpoint("127.0.0.1"), port: first },
    { endpoint: endpoint("127.0.0.3"), port: first },
    { endpoint: endpoint("127.0.0.2"), port: second },
  ];
  const options = { signal: new AbortController().signal, onFailure: (f: DialFailure) => failures.push(f) };
  for await (const dialled of dial(targets, options)) {
    seen.push(dialled);
    dialled.socket.destroy();
  }
  expect(seen.map(({ address }) => address).toSorted()).toEqual(["127.0.0.1", "127.0.0.2"]);
  expect(failures).toEqual([{ address: "127.0.0.3", port: first, why: "ECONNREFUSED" }]);
});

test("leaving the loop closes the connections that were not handed out", async () => {
  const port = await listenOn("127.0.0.1");
  const targets = Array.from({ length: 4 }, () => ({ endpoint: endpoint("127.0.0.1"), port }));
  const options = { signal: new AbortController().signal, onFailure: () => undefined };
  let kept: Dialled | undefined;
  for await (const dialled of dial(targets, options)) {
    kept = dialled;
    break;
  }
  await expect.poll(() => accepted.filter((socket) => socket.readyState === "open").length).toBe(1);
  expect(kept?.socket.destroyed).toBe(false);
  kept?.socket.destroy();
});

test("an abort ends it with the signal's reason", async () => {
  const abort = new AbortController();
  abort.abort(new Error("called off"));
  const options = { signal: abort.signal, onFailure: () => undefined };
  const all = async (): Promise<void> => {
    for await (const dialled of dial([{ endpoint: endpoint("127.0.0.1"), port: 1 }], options)) {
      dialled.socket.destroy();
    }
  };
  await expect(all()).rejects.toThrow("called off");
});

test("dials what is known later too, and waits for it before it gives up", async () => {
  const port = await listenOn("127.0.0.1");
  let tell: (targets: { endpoint: Endpoint; port: number }[]) => void = () => undefined;
  const more = new Promise<{ endpoint: Endpoint; port: number }[]>((resolve) => (tell = resolve));
  const failures: DialFailure[] = [];
  const options = {
    signal: new AbortController().signal,
    more,
    onFailure: (failure: DialFailure) => {
      failures.push(failure);
      tell([{ endpoint: endpoint("127.0.0.1"), port }]);
    },
  };
  const seen: Dialled[] = [];
  for await (const dialled of dial([{ endpoint: endpoint("127.0.0.3"), port }], options)) {
    seen.push(dialled);
    dialled.socket.destroy();
  }
  expect(failures.map(({ address }) => address)).toEqual(["127.0.0.3"]);
  expect(seen.map(({ address }) => address)).toEqual(["127.0.0.1"]);
});

test("what is known only after the loop was left is not dialled", async () => {
  const port = await listenOn("127.0.0.1");
  const target = { endpoint: endpoint("127.0.0.1"), port };
  let tell: (targets: (typeof target)[]) => void = () => undefined;
  const more = new Promise<(typeof target)[]>((resolve) => (tell = resolve));
  const options = { signal: new AbortController().signal, more, onFailure: () => undefined };
  for await (const dialled of dial([target], options)) {
    dialled.socket.destroy();
    break;
  }
  tell([target]);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(accepted).toHaveLength(1);
});
