// Binary caches as real servers on loopback: those that answer, and those that do not.

import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { parseStorePath } from "../../src/protocol/store-path.js";
import { createPublicCaches } from "../../src/uploads/public-caches.js";
import { silentLog } from "../support/silent-log.js";
import { storePath } from "../support/store-paths.js";

interface Cache {
  readonly url: string;
  /** What was asked for. */
  readonly asked: string[];
}

const serve = async (answer: RequestListener): Promise<Cache> => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
};
const narinfoOf = (path: string): string => `StorePath: ${path}\nURL: nar/x.nar\nNarSize: 1\n`;
const has = (...paths: string[]): Promise<Cache> =>
  serve(({ url }, response) => {
    const found = paths.find((path) => url === `/${parseStorePath(path)?.hashPart}.narinfo`);
    if (found === undefined) response.writeHead(404).end("404");
    else response.end(narinfoOf(found));
  });
const ask = (
  urls: readonly string[],
  answerMs = 5_000,
): ((paths: readonly string[]) => Promise<Set<string>>) =>
  createPublicCaches({ urls, log: silentLog, answerMs, restMs: 300 });

const [a, b, c] = ["a", "b", "c"].map(storePath) as [string, string, string];

test("what one of them has is found, and none is asked once more than it must be", async () => {
  const [first, second] = [await has(a), await has(a, b)];
  expect(await ask([first.url, second.url])([a, b, c])).toEqual(new Set([a, b]));
  expect(first.asked).toHaveLength(3);
  expect(second.asked).toHaveLength(2);
  expect(await ask([])([a])).toEqual(new Set());
});

test("S3 says 403 of what it has not", async () => {
  const cache = await serve((_, response) => response.writeHead(403).end());
  const askIt = ask([cache.url]);
  expect(await askIt([a])).toEqual(new Set());
  expect(await askIt([b])).toEqual(new Set());
  expect(cache.asked).toHaveLength(2);
});

test.each<[string, RequestListener]>([
  ["fails", (_, response) => void response.writeHead(500).end()],
  ["says yes to everything, as a captive portal does", (_, response) => void response.end("<html>welcome")],
  ["speaks of another path", (_, response) => void response.end(narinfoOf(c))],
  ["says nothing", () => undefined],
  ["never ends", (_, response) => void response.write(`StorePath: ${a}\n`)],
  ["does not know when to stop", (_, response) => void response.end("x".repeat(2 ** 21))],
])("one that %s has nothing, and is left alone for a while", async (_, answer) => {
  const cache = await serve(answer);
  const askIt = ask([cache.url], 200);
  expect(await askIt([a])).toEqual(new Set());
  expect(await askIt([a, b])).toEqual(new Set());
  expect(cache.asked).toHaveLength(1);
  await new Promise((resolve) => setTimeout(resolve, 400));
  await askIt([a]);
  expect(cache.asked).toHaveLength(2);
});

test("one that is not there does not hide another", async () => {
  const cache = await has(a);
  expect(await ask(["http://127.0.0.1:1", cache.url])([a])).toEqual(new Set([a]));
});

test("thousands are asked for few at a time", async () => {
  let open = 0;
  let most = 0;
  const cache = await serve((_, response) => {
    open += 1;
    most = Math.max(most, open);
    setImmediate(() => {
      open -= 1;
      response.writeHead(404).end();
    });
  });
  const paths = Array.from({ length: 2_000 }, (_, n) => storePath(`many-${n}`));
  expect(await ask([cache.url])(paths)).toEqual(new Set());
  expect(cache.asked).toHaveLength(2_000);
  expect(most).toBeLessThanOrEqual(16);
});
