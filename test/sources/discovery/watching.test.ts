import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { createPicture, type Question } from "../../../src/sources/discovery/picture.js";
import type { HeardRecord } from "../../../src/sources/discovery/records.js";
import type { MulticastTarget } from "../../../src/sources/discovery/target.js";
import { createWatching, type News, SETTLE_MS, SILENCE_MS } from "../../../src/sources/discovery/watching.js";
import { addressRecord, serviceRecord } from "../../support/mdns-records.js";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const pi: MulticastTarget = { kind: "mdns", name: "pi.local" };
const four = addressRecord("pi.local", "10.0.0.1");
const six = addressRecord("pi.local", "fe80::1");
const goodbye = (record: typeof four): HeardRecord => ({ ...record, ttl: 0 });

function start(target: MulticastTarget = pi) {
  const news: News[] = [];
  const asked: Question[] = [];
  const watching = createWatching(
    createPicture(target),
    (item) => news.push(item),
    (questions) => asked.push(...questions),
  );
  const hear = (...records: HeardRecord[]): void => watching.hear("eth0", records, Date.now());
  return {
    watching,
    news,
    asked,
    hear,
    told: () => news.map(({ kind, endpoints }) => [kind, endpoints.length]),
  };
}

const settle = (): Promise<unknown> => vi.advanceTimersByTimeAsync(SETTLE_MS);
const silence = (): Promise<unknown> => vi.advanceTimersByTimeAsync(SILENCE_MS + 1);

describe("createWatching", () => {
  it("makes one piece of news of several packets", async () => {
    const { hear, news } = start();
    hear(six);
    await vi.advanceTimersByTimeAsync(SETTLE_MS - 1);
    hear(four);
    expect(news).toEqual([]);
    await settle();
    expect(news).toEqual([
      {
        kind: "announced",
        endpoints: [
          { address: "fe80::1%eth0", family: 6 },
          { address: "10.0.0.1", family: 4 },
        ],
      },
    ]);
  });

  it("keeps quiet about repetitions, but not about who is heard again after a silence", async () => {
    const { hear, told } = start();
    hear(four);
    await settle();
    hear(four);
    await settle();
    expect(told()).toEqual([["announced", 1]]);
    await silence();
    hear(four);
    await settle();
    expect(told()).toEqual([
      ["announced", 1],
      ["announced", 1],
    ]);
  });

  it("is not concerned by others", async () => {
    const { hear, news } = start();
    hear(addressRecord("other.local", "10.0.0.2"), goodbye(addressRecord("other.local", "10.0.0.2")));
    await settle();
    expect(news).toEqual([]);
  });

  it("tells a changed address: the new one alone", async () => {
    const { hear, news } = start();
    hear(four);
    await settle();
    hear(goodbye(four), addressRecord("pi.local", "10.0.0.9"));
    await settle();
    expect(news.at(-1)).toEqual({ kind: "announced", endpoints: [{ address: "10.0.0.9", family: 4 }] });
  });

  it("tells a goodbye once all addresses are withdrawn, and the return after it", async () => {
    const { hear, told } = start();
    hear(four, six);
    await settle();
    hear(goodbye(four));
    await vi.advanceTimersByTimeAsync(10);
    hear(goodbye(six));
    await settle();
    hear(four, six);
    await settle();
    expect(told()).toEqual([
      ["announced", 2],
      ["goodbye", 2],
      ["announced", 2],
    ]);
  });

  it("tells the goodbye of a machine it had not heard of", async () => {
    const { hear, news } = start();
    hear(goodbye(four));
    await settle();
    expect(news).toEqual([{ kind: "goodbye", endpoints: [{ address: "10.0.0.1", family: 4 }] }]);
  });

  it("takes a lookup's word without news, and compares with it from then on", async () => {
    const { watching, hear, told } = start();
    const picture = createPicture(pi);
    picture.apply("eth0", [four], Date.now());
    watching.adopt(picture, Date.now());
    hear(four);
    await settle();
    expect(told()).toEqual([]);
    hear(six);
    await settle();
    expect(told()).toEqual([["announced", 2]]);
    watching.adopt(createPicture(pi), Date.now());
    hear(four);
    await settle();
    expect(told()).toEqual([
      ["announced", 2],
      ["announced", 1],
    ]);
  });

  it("says nothing about an interface that went, but tells what is heard on its successor", async () => {
    const { watching, hear, told } = start();
    hear(four);
    await settle();
    watching.forget("eth0");
    await settle();
    expect(told()).toEqual([["announced", 1]]);
    hear(four);
    await settle();
    expect(told()).toEqual([
      ["announced", 1],
      ["announced", 1],
    ]);
  });

  it("asks for the addresses of a service announced without them, at most once a second", async () => {
    const { hear, asked, news } = start({
      kind: "service",
      service: "_ssh._tcp.local",
      instance: "pi._ssh._tcp.local",
    });
    const instance = serviceRecord("pi._ssh._tcp.local", "pi.local", 22);
    hear(instance);
    hear(instance);
    expect(asked.map(({ type }) => type)).toEqual(["A", "AAAA"]);
    hear(four);
    await settle();
    expect(news).toEqual([{ kind: "announced", endpoints: [{ address: "10.0.0.1", family: 4, port: 22 }] }]);
    await silence();
    hear(goodbye(four));
    expect(asked).toHaveLength(4);
  });

  it("is silent once stopped", async () => {
    const { watching, hear, news } = start();
    hear(four);
    watching.stop();
    await settle();
    expect(news).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });
});
