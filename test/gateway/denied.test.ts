// What the gateway tells of its answers to narinfo requests, and whether what it denied is there now.

import { describe, expect, test } from "vitest";

import type { NarinfoAnswer } from "../../src/gateway/gateway.js";
import { fakePath, fakeUpstream } from "../support/fake-upstream.js";
import { testGateway } from "../support/gateway.js";
import { ask } from "../support/http.js";

const here = fakePath("a");
const other = fakePath("b");
const unfit = fakePath("c", "nar of c", { signatures: ["no\nsignature"] });
const narinfo = (path: { hashPart: string }): string => `${path.hashPart}.narinfo`;

describe("each answer to a narinfo request is told", () => {
  const told: NarinfoAnswer[] = [];
  const onNarinfo = (answer: NarinfoAnswer): void => void told.push(answer);
  const answers = async (run: () => Promise<unknown>): Promise<NarinfoAnswer[]> => {
    told.length = 0;
    await run();
    return told.slice();
  };

  test("with its generation, while the cache is away and while it is there", async () => {
    const gateway = await testGateway({ onNarinfo, limits: { lookupMs: 100 } });
    const { hashPart } = here;
    expect(await answers(() => ask(gateway.port, `/pi/3/${narinfo(here)}`))).toEqual([
      { cache: "pi", generation: 3, hashPart, found: false },
    ]);
    gateway.setUpstream("pi", fakeUpstream(here));
    expect(await answers(() => ask(gateway.port, `/pi/15/${narinfo(here)}`))).toEqual([
      { cache: "pi", generation: 15, hashPart, found: true },
    ]);
    expect(await answers(() => ask(gateway.port, `/pi/${narinfo(other)}`, { method: "HEAD" }))).toEqual([
      { cache: "pi", generation: null, hashPart: other.hashPart, found: false },
    ]);
  });

  test("when a lookup fails or is too late, for Nix remembers these answers too", async () => {
    const gateway = await testGateway({ onNarinfo, limits: { lookupMs: 20 } });
    const upstream = fakeUpstream(here, unfit);
    gateway.setUpstream("pi", upstream);
    upstream.beforeLookup = () => Promise.reject(new Error("no"));
    expect(await answers(() => ask(gateway.port, `/pi/0/${narinfo(here)}`))).toMatchObject([
      { found: false },
    ]);
    upstream.beforeLookup = () => new Promise(() => undefined);
    expect(await answers(() => ask(gateway.port, `/pi/0/${narinfo(here)}`))).toMatchObject([
      { found: false },
    ]);
  });

  test("when nobody can say who asks; not what another user or a web page asks", async () => {
    const peers = [Promise.reject(new Error("unknown")), Promise.resolve(1001), Promise.resolve(1000)];
    peers[0]?.catch(() => undefined);
    const gateway = await testGateway({
      onNarinfo,
      ownUid: 1000,
      peerUid: () => peers.shift() ?? Promise.resolve(1000),
    });
    const url = `/pi/0/${narinfo(here)}`;
    expect(await answers(() => ask(gateway.port, url))).toHaveLength(1);
    expect(await answers(() => ask(gateway.port, url))).toEqual([]);
    expect(await answers(() => ask(gateway.port, url, { headers: { host: "evil.example" } }))).toEqual([]);
  });

  test("and no answer of another kind", async () => {
    const gateway = await testGateway({ onNarinfo });
    const nothing = await answers(async () => {
      for (const url of [
        `/pi/0/${here.narUrl}`,
        "/pi/0/nix-cache-info",
        `/nas/0/${narinfo(here)}`,
        "/pi/0/x",
      ])
        await ask(gateway.port, url);
    });
    expect(nothing).toEqual([]);
  });
});

describe("servesAny", () => {
  const signal = new AbortController().signal;
  const hashParts = [other.hashPart, unfit.hashPart, here.hashPart];

  test("says whether one of them would be told of now", async () => {
    const gateway = await testGateway();
    expect(await gateway.servesAny("pi", hashParts, signal)).toBe(false);
    const upstream = fakeUpstream();
    gateway.setUpstream("pi", upstream);
    expect(await gateway.servesAny("pi", hashParts, signal)).toBe(false);
    expect(upstream.checked).toEqual([hashParts]);
    expect(upstream.asked).toEqual([]);
    gateway.setUpstream("pi", fakeUpstream(here));
    expect(await gateway.servesAny("pi", hashParts, signal)).toBe(true);
  });

  test("a path that is there but can not be told of would be denied again", async () => {
    const gateway = await testGateway();
    gateway.setUpstream("pi", fakeUpstream(unfit));
    expect(await gateway.servesAny("pi", hashParts, signal)).toBe(false);
    gateway.setUpstream("pi", fakeUpstream(unfit, here));
    expect(await gateway.servesAny("pi", hashParts, signal)).toBe(true);
  });

  test("rejects when the upstream can not say", async () => {
    const gateway = await testGateway();
    const upstream = fakeUpstream(here);
    upstream.beforeLookup = () => Promise.reject(new Error("the link is lost"));
    gateway.setUpstream("pi", upstream);
    await expect(gateway.servesAny("pi", hashParts, signal)).rejects.toThrow("the link is lost");
  });
});
