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
