import { expect, test } from "vitest";
import { cacheSchema } from "../../src/config/cache-schema.js";
import type { CacheLink } from "../../src/daemon/cache-link.js";
import { waysOf } from "../../src/daemon/cache-ways.js";
import type { Posted } from "../../src/daemon/controller.js";
import { createDependents } from "../../src/daemon/dependents.js";
import type { SshLink } from "../../src/link/link.js";

test("what is reached through a cache is looked for once for each link of that", () => {
  const posted: Posted[] = [];
  let link: SshLink | null = null;
  const follow = createDependents({
    ways: new Map([
      ["pi", waysOf(cacheSchema.parse({ host: "pi.local" }))],
      ["nas", waysOf(cacheSchema.parse({ type: "http", url: "http://127.0.0.1", via: "pi" }))],
      ["other", waysOf(cacheSchema.parse({ type: "http", url: "http://other.local" }))],
    ]),
    tethers: new Map([["pi", { link: () => (link === null ? null : ({ ssh: link } as CacheLink)) }]]),
    post: (one) => posted.push(one),
  });
  const due = { cache: "nas", fact: { type: "due" } };
  follow();
  expect(posted).toEqual([]);
  link = {} as SshLink;
  follow();
  follow();
  expect(posted).toEqual([due]);
  link = null;
  follow();
  link = {} as SshLink;
  follow();
  expect(posted).toEqual([due, due]);
});
