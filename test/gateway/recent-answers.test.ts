// What is remembered of the answers: by the ring alone, and by a gateway that is really asked.

import { randomBytes } from "node:crypto";
import http from "node:http";

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import type { Outcome } from "../../src/gateway/gateway.js";
import { createRecentAnswers, outcomes, type RecentAnswer } from "../../src/gateway/recent-answers.js";
import { nix32Digits } from "../../src/protocol/nix32.js";
import { fakePath, fakeUpstream } from "../support/fake-upstream.js";
import { testGateway } from "../support/gateway.js";
import { ask } from "../support/http.js";

const answerOf = (outcome: Outcome, more: Partial<RecentAnswer> = {}): Omit<RecentAnswer, "at"> => ({
  outcome,
  generation: null,
  unsigned: false,
  bytes: 0,
  size: 0,
  ...more,
});

describe("the ring", () => {
  test("tells what it was told, the newest first", () => {
    let now = 1_795_000_000_000;
    const recent = createRecentAnswers(8, () => now);
    expect([recent.since, recent.about("a".repeat(32))]).toEqual([now, []]);
    now += 1;
    recent.add("a".repeat(32), answerOf("told", { generation: 15, unsigned: true, size: 2 ** 40 }));
    now += 1;
    recent.add("b".repeat(32), answerOf("away", { generation: 0 }));
    now += 1;
    recent.add("a".repeat(32), answerOf("cut", { bytes: 2 ** 33 + 1, size: 2 ** 40 }));
    expect(recent.about("a".repeat(32))).toEqual([
      { at: now, ...answerOf("cut", { bytes: 2 ** 33 + 1, size: 2 ** 40 }) },
      { at: now - 2, ...answerOf("told", { generation: 15, unsigned: true, size: 2 ** 40 }) },
    ]);
    expect(recent.about("b".repeat(32))).toEqual([{ at: now - 1, ...answerOf("away", { generation: 0 }) }]);
    expect(recent.about("c".repeat(32))).toEqual([]);
    expect(recent.about("a".repeat(31))).toEqual([]);
  });

  test("holds the newest, and says since when it holds all, like a list that is cut off", () => {
    const hashPart = fc.constantFrom(..."abc").map((letter) => letter.repeat(32));
    const asked = fc.array(fc.tuple(hashPart, fc.constantFrom(...outcomes)), { maxLength: 40 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), asked, (most, added) => {
        let now = 1_000;
        const recent = createRecentAnswers(most, () => now);
        const list: { readonly hash: string; readonly answer: RecentAnswer }[] = [];
        for (const [hash, outcome] of added) {
          now += 1;
          recent.add(hash, answerOf(outcome));
          list.push({ hash, answer: { at: now, ...answerOf(outcome) } });
        }
        const kept = list.slice(-most).toReversed();
        for (const letter of "abcd") {
          const hash = letter.repeat(32);
          expect(recent.about(hash)).toEqual(
            kept.filter((one) => one.hash === hash).map((one) => one.answer),
          );
        }
        const dropped = list.at(-most - 1);
        expect(recent.since).toBe(list.length > most ? dropped?.answer.at : 1_000);
      }),
    );
  });

  test("is not led astray by digits that run over from one answer into the next", () => {
    const recent = createRecentAnswers(4, () => 0);
    for (let at = 0; at < 4; at += 1) recent.add(nix32Digits, answerOf("told"));
    expect(recent.about(`${nix32Digits.slice(1)}0`)).toEqual([]);
    expect(recent.about(nix32Digits)).toHaveLength(4);
  });
});

describe("a gateway remembers", () => {
  const path = fakePath("a", randomBytes(1_000_000));
  const bare = fakePath("b", "b", { signatures: [] });
  const narinfo = `/pi/3/${path.hashPart}.narinfo`;
  const nar = `/pi/${path.narUrl}`;

  test("what it told and denied, under which generation, and that it was away", async () => {
    const gateway = await testGateway({ limits: { lookupMs: 200 } });
    const begun = Date.now();
    const upstream = fakeUpstream(path, bare);
    const latest = (hashPart = path.hashPart): RecentAnswer | undefined =>
      gateway.recent("pi", hashPart).answers[0];
    await ask(gateway.port, narinfo);
    expect(latest()).toMatchObject({ outcome: "away", generation: 3 });
    gateway.setUpstream("pi", upstream);
    await ask(gateway.port, narinfo);
    expect(latest()).toMatchObject({ outcome: "told", generation: 3, unsigned: false, size: 1_000_000 });
    await ask(gateway.port, `/pi/${bare.hashPart}.narinfo`);
    expect(latest(bare.hashPart)).toMatchObject({ outcome: "told", generation: null, unsigned: true });
    await ask(gateway.port, `/pi/0/${"c".repeat(32)}.narinfo`);
    expect(latest("c".repeat(32))).toMatchObject({ outcome: "absent", generation: 0 });
    upstream.beforeLookup = () => new Promise(() => undefined);
    await ask(gateway.port, narinfo);
    expect(latest()?.outcome).toBe("told-from-memory");
    await ask(gateway.port, `/pi/0/${"d".repeat(32)}.narinfo`);
    expect(latest("d".repeat(32))?.outcome).toBe("failed");
    expect(latest()?.at).toBeGreaterThanOrEqual(begun);
    expect(gateway.recent("pi", path.hashPart).answers.map(({ outcome }) => outcome)).toEqual([
      "told-from-memory",
      "told",
      "away",
    ]);
  });

  test("what became of a NAR", async () => {
    const gateway = await testGateway({ limits: { narTries: 1 } });
    const upstream = fakeUpstream(path);
    const latest = (): Partial<RecentAnswer> | undefined => gateway.recent("pi", path.hashPart).answers[0];
    await ask(gateway.port, nar);
    expect(latest()).toMatchObject({ outcome: "nar-away", bytes: 0 });
    gateway.setUpstream("pi", upstream);
    await ask(gateway.port, nar, { headers: { range: "bytes=400000-" } });
    expect(latest()).toMatchObject({ outcome: "sent", bytes: 600_000, size: 1_000_000 });
    upstream.breakAt = 300_000;
    await ask(gateway.port, nar);
    expect(latest()).toMatchObject({ outcome: "cut", bytes: 300_000, size: 1_000_000 });
    expect(gateway.stats("pi").abandoned).toBe(1);
    await ask(gateway.port, nar);
    expect(latest()).toMatchObject({ outcome: "cut-before" });
    gateway.setUpstream("pi", null);
    upstream.breakAt = 0;
    gateway.setUpstream("pi", upstream);
    await ask(gateway.port, nar);
    expect(latest()).toMatchObject({ outcome: "nar-failed" });
    await ask(gateway.port, `/pi/${fakePath("a", "another").narUrl}`);
    expect(latest()).toMatchObject({ outcome: "nar-absent" });
  });

  test("that a client left, and while it is there how far it has come", async () => {
    const gateway = await testGateway();
    const upstream = fakeUpstream(path);
    upstream.stallAt = 300_000;
    gateway.setUpstream("pi", upstream);
    const request = http.get({ host: "127.0.0.1", port: gateway.port, path: nar, agent: false });
    request.on("response", (response) => response.on("error", () => undefined).resume());
    request.on("error", () => undefined);
    await expect.poll(() => gateway.transfers("pi")[0]?.at).toBe(300_000);
    expect(gateway.transfers("pi")).toMatchObject([{ info: path.info, from: 0, waiting: false }]);
    request.destroy();
    await expect.poll(() => gateway.transfers("pi")).toEqual([]);
    await expect
      .poll(() => gateway.recent("pi", path.hashPart).answers[0])
      .toMatchObject({ outcome: "left", bytes: 300_000 });
    expect(gateway.stats("pi").abandoned).toBe(0);
  });

  test("a transfer that waits for the machine's return is one that waits", async () => {
    const gateway = await testGateway({ limits: { resumeMs: 10_000 } });
    const upstream = fakeUpstream(path);
    upstream.stallAt = 300_000;
    gateway.setUpstream("pi", upstream);
    const answer = ask(gateway.port, nar);
    await expect.poll(() => gateway.transfers("pi")[0]?.at).toBe(300_000);
    gateway.setUpstream("pi", null, { mayReturn: true });
    await expect.poll(() => gateway.transfers("pi")[0]?.waiting).toBe(true);
    gateway.setUpstream("pi", fakeUpstream(path));
    expect((await answer).body.equals(path.nar)).toBe(true);
    expect(gateway.recent("pi", path.hashPart).answers[0]).toMatchObject({
      outcome: "sent",
      bytes: 1_000_000,
    });
  });

  test("nothing of what is asked on nobody's behalf", async () => {
    const gateway = await testGateway();
    expect(await gateway.ask("pi", path.hashPart)).toBeNull();
    gateway.setUpstream("pi", fakeUpstream(path));
    expect(await gateway.ask("pi", path.hashPart)).toEqual({ kind: "found", info: path.info });
    expect(await gateway.ask("pi", "c".repeat(32))).toEqual({ kind: "absent" });
    expect(gateway.stats("pi")).toMatchObject({ lookups: 0, hits: 0 });
    expect(gateway.recent("pi", path.hashPart).answers).toEqual([]);
  });
});
