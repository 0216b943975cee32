// Which of Nix's other caches come first and have a path: asked over real HTTP.

import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { lookAtOthers, priorityIn, priorityTold } from "../../src/explain/other-caches.js";
import { hashPart, storePath } from "../support/explained.js";

/** A cache that answers so; returns its URL and what it is asked. */
async function cache(
  answer: (request: http.IncomingMessage, response: http.ServerResponse) => void,
): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = [];
  const server = http.createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    answer(request, response);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/cache`, asked };
}

const info = "StoreDir: /nix/store\nWantMassQuery: 1\n";

test.each([
  ["https://cache.nixos.org", 40],
  ["https://cache.nixos.org/?priority=10", 10],
  ["http://nas.local/cache?priority=7", 7],
  ["http://nas.local/cache?priority=x", null],
  ["http://nas.local/cache", null],
  ["ssh-ng://nas.local?priority=3", 3],
  ["daemon", null],
])("%s has priority %j without being asked", (url, priority) => {
  expect(priorityIn(url)).toBe(priority);
});

test("a nix-cache-info tells it, and without one it is 0 as for Nix", () => {
  expect([priorityTold(`${info}Priority: 41\n`), priorityTold(info)]).toEqual([41, 0]);
});

test("those that come first are asked for the path, and only those", async () => {
  const has = await cache((request, response) =>
    response.end(
      request.url === "/cache/nix-cache-info" ? `${info}Priority: 20\n` : `StorePath: ${storePath}\n`,
    ),
  );
  const lacks = await cache((_request, response) => response.writeHead(404).end());
  const later = await cache((_request, response) => response.end(`${info}Priority: 30\n`));
  const urls = [has.url, `${lacks.url}?priority=10`, later.url, "https://cache.nixos.org", "ssh-ng://nas"];
  expect(await lookAtOthers(urls, { hashPart, priority: 30 })).toEqual([
    { url: has.url, priority: 20, has: true },
    { url: `${lacks.url}?priority=10`, priority: 10, has: false },
    { url: later.url, priority: 30, has: null },
    { url: "https://cache.nixos.org", priority: 40, has: null },
    { url: "ssh-ng://nas", priority: null, has: null },
  ]);
  expect(has.asked).toEqual(["GET /cache/nix-cache-info", `GET /cache/${hashPart}.narinfo`]);
  expect(lacks.asked).toEqual([`GET /cache/${hashPart}.narinfo`]);
  expect(later.asked).toEqual(["GET /cache/nix-cache-info"]);
});

test("one that is in trouble, speaks of something else, or never ends is not known", async () => {
  const broken = await cache((_request, response) => response.writeHead(500).end());
  const page = await cache((_request, response) => response.end("<html>log in to this network</html>"));
  const endless = await cache((_request, response) => {
    const timer = setInterval(() => response.write("x".repeat(16_384)), 1);
    response.on("close", () => clearInterval(timer));
  });
  const gone = "http://127.0.0.1:1/cache";
  const urls = [`${broken.url}?priority=1`, page.url, endless.url, gone, `${gone}?priority=1`];
  urls.push(`${page.url}?priority=1`, `${endless.url}?priority=1`);
  const got = await lookAtOthers(urls, { hashPart, priority: 30 });
  expect(got.map(({ priority, has }) => [priority, has])).toEqual([
    [1, null],
    [null, null],
    [null, null],
    [null, null],
    [1, null],
    [1, null],
    [1, null],
  ]);
});
