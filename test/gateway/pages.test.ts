// Who may read what stands beside the caches: the user alone, and no web site through the user's browser.

import { describe, expect, test } from "vitest";

import type { Page } from "../../src/gateway/pages.js";
import { fakePath, fakeUpstream } from "../support/fake-upstream.js";
import { testGateway } from "../support/gateway.js";
import { ask, exchange } from "../support/http.js";

const own = 1000;
const page: Page = { type: "text/plain; charset=utf-8", body: () => "a secret" };
const shared: Page = { ...page, body: () => "numbers", readers: new Set([990]) };
const broken: Page = { ...page, body: () => Promise.reject(new Error("broken")) };
const pages = new Map([
  ["/", page],
  ["/shared", shared],
  ["/broken", broken],
]);

test("the user reads it, with headers that keep it to itself", async () => {
  const { port } = await testGateway({ pages });
  const { status, headers, body } = await ask(port, "/");
  expect([status, body.toString()]).toEqual([200, "a secret"]);
  expect(headers).toMatchObject({
    "content-type": "text/plain; charset=utf-8",
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
  });
  expect(headers["content-security-policy"]).toMatch(/^default-src 'none'; .*frame-ancestors 'none'/);
  expect(headers["content-security-policy"]).not.toContain("unsafe");
  expect(Object.keys(headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
  const head = await ask(port, "/", { method: "HEAD" });
  expect([head.status, head.headers["content-length"], head.body.length]).toEqual([200, "8", 0]);
});

test("nothing but GET and HEAD of its very path, and one that fails is not there", async () => {
  const { port } = await testGateway({ pages });
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS"])
    expect((await ask(port, "/", { method })).status).toBe(404);
  for (const url of ["//", "/?x", "/.", "/shared/", "/broken"])
    expect((await ask(port, url)).status).toBe(404);
});

describe("is refused", () => {
  test.each([
    [own, [200, 200, 200]],
    // The nix-daemon, which fetches for every user.
    [0, [403, 403, 200]],
    [990, [403, 200, 403]],
    [1001, [403, 403, 403]],
  ])("to others: uid %i gets %j of the page, the shared one and a cache", async (uid, expected) => {
    const gateway = await testGateway({ pages, ownUid: own, peerUid: () => Promise.resolve(uid) });
    gateway.setUpstream("pi", fakeUpstream(fakePath("a")));
    const got = [];
    for (const url of ["/", "/shared", `/pi/${fakePath("a").hashPart}.narinfo`]) {
      const { status, body } = await ask(gateway.port, url);
      got.push(status);
      if (status === 403) expect(body.toString()).toBe("this belongs to another user\n");
    }
    expect(got).toEqual(expected);
  });

  test("where nobody knows who asks", async () => {
    const { port } = await testGateway({ pages, peerUid: () => Promise.reject(new Error("no table")) });
    expect((await ask(port, "/")).status).toBe(404);
  });

  test.each(["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])(
    "under the name %j, which may be a rebound one",
    async (host) => {
      const { port } = await testGateway({ pages });
      const answer = await exchange(port, `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      expect(answer).toMatch(/^HTTP\/1\.1 404 /);
      expect(answer).not.toContain("secret");
    },
  );

  test.each([
    ["same-origin", "cors", "empty", 200],
    ["none", "navigate", "document", 200],
    // A link that was followed shows the page to the user, and to nobody else.
    ["cross-site", "navigate", "document", 200],
    ["cross-site", "navigate", "iframe", 404],
    ["cross-site", "no-cors", "script", 404],
    ["cross-site", "cors", "empty", 404],
    ["same-site", "cors", "empty", 404],
  ])("to what a site %s asks for (%s, %s): %i", async (site, mode, dest, expected) => {
    const { port } = await testGateway({ pages });
    const headers = { "sec-fetch-site": site, "sec-fetch-mode": mode, "sec-fetch-dest": dest };
    expect((await ask(port, "/", { headers })).status).toBe(expected);
  });
});
