import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import {
  ASK_AT_MS,
  askFor,
  DEADLINE_MS,
  GATHER_MS,
  PARTIAL_MS,
} from "../../../src/sources/discovery/asking.js";
import { createPicture, type Question } from "../../../src/sources/discovery/picture.js";
import type { HeardRecord } from "../../../src/sources/discovery/records.js";
import { addressRecord, serviceRecord } from "../../support/mdns-records.js";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

interface Options {
  links?: number;
  service?: boolean;
  thorough?: boolean;
  known?: HeardRecord[];
}

function start(options: Options = {}) {
  const picture = createPicture(
    options.service === true
      ? { kind: "service", service: "_ssh._tcp.local", instance: "pi._ssh._tcp.local" }
      : { kind: "mdns", name: "pi.local" },
  );
  picture.apply("eth0", options.known ?? [], Date.now());
  const began = Date.now();
  let answeredAt: number | undefined;
  const asked: { at: number; packets: readonly (readonly Question[])[] }[] = [];
  const listeners = new Set<(link: string, records: readonly HeardRecord[]) => void>();
  const abort = new AbortController();
  let endedAt: number | undefined;
  void askFor(
    picture,
    {
      thorough: options.thorough ?? false,
      onAnswered: () => (answeredAt = Date.now() - began),
      ask: (packets) => {
        asked.push({ at: Date.now() - began, packets });
        return options.links ?? 1;
      },
      listen: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      now: () => Date.now(),
    },
    abort.signal,
  ).then(() => (endedAt = Date.now() - began));
  return {
    picture,
    asked,
    listeners,
    abort,
    hear: (...records: HeardRecord[]) => {
      for (const listener of listeners) listener("eth0", records);
    },
    answeredAt: () => answeredAt,
    endedAt: () => endedAt,
  };
}

const four = addressRecord("pi.local", "10.0.0.1");
const six = addressRecord("pi.local", "fe80::1");

describe("askFor", () => {
  it("repeats the question until its deadline when nobody answers, and then lets go of everything", async () => {
    const asking = start();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(asking.asked.map(({ at }) => at)).toEqual(ASK_AT_MS);
    expect(asking.endedAt()).toBe(DEADLINE_MS);
    expect(asking.picture.endpoints()).toEqual([]);
    expect(asking.listeners.size).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("listens and asks to the end for all who answer when it is to be thorough", async () => {
    const asking = start({ thorough: true });
    asking.hear(four);
    await vi.advanceTimersByTimeAsync(800);
    asking.hear(addressRecord("pi.local", "10.0.0.66"));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(asking.asked.map(({ at }) => at)).toEqual(ASK_AT_MS);
    expect(asking.endedAt()).toBe(DEADLINE_MS);
    expect(asking.picture.endpoints().map(({ address }) => address)).toEqual(["10.0.0.1", "10.0.0.66"]);
  });

  it("gathers for a moment after the first answer and asks no more", async () => {
    const asking = start();
    await vi.advanceTimersByTimeAsync(3);
    asking.hear(four);
    await vi.advanceTimersByTimeAsync(GATHER_MS - 10);
    asking.hear(six);
    await vi.advanceTimersByTimeAsync(9);
    expect(asking.endedAt()).toBeUndefined();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(asking.endedAt()).toBe(3 + GATHER_MS);
    expect(asking.answeredAt()).toBe(3);
    expect(asking.picture.endpoints()).toHaveLength(2);
    expect(asking.asked).toHaveLength(1);
  });

  it("does not ask for what was said just now, and gathers all the same", async () => {
    const asking = start({ known: [four] });
    expect(asking.answeredAt()).toBe(0);
    asking.hear(six);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(asking.asked).toEqual([]);
    expect(asking.endedAt()).toBe(GATHER_MS);
    expect(asking.picture.endpoints()).toHaveLength(2);
  });

  it("asks on for the IPv4 half, and in the end does without", async () => {
    const asking = start();
    asking.hear(six);
    await vi.advanceTimersByTimeAsync(PARTIAL_MS - 1);
    expect(asking.endedAt()).toBeUndefined();
    expect(asking.asked.length).toBeGreaterThan(2);
    await vi.advanceTimersByTimeAsync(1);
    expect(asking.endedAt()).toBe(PARTIAL_MS);
    expect(asking.picture.endpoints()).toHaveLength(1);
  });

  it("goes on when the only answer is taken back", async () => {
    const asking = start();
    asking.hear(four);
    asking.hear(addressRecord("pi.local", "10.0.0.1", { ttl: 0 }));
    await vi.advanceTimersByTimeAsync(DEADLINE_MS - 100);
    expect(asking.endedAt()).toBeUndefined();
    asking.hear(four);
    await vi.advanceTimersByTimeAsync(GATHER_MS);
    expect(asking.endedAt()).toBe(DEADLINE_MS - 100 + GATHER_MS);
  });

  it("is not answered by others' records", async () => {
    const asking = start();
    asking.hear(addressRecord("other.local", "10.0.0.2"));
    await vi.advanceTimersByTimeAsync(DEADLINE_MS);
    expect(asking.picture.endpoints()).toEqual([]);
  });

  it("follows a service to its host at once, once", async () => {
    const asking = start({ service: true });
    const instance = serviceRecord("pi._ssh._tcp.local", "pi.local", 22);
    asking.hear(instance);
    asking.hear(instance);
    expect(asking.asked.map(({ packets }) => packets.flat().map(({ type }) => type))).toEqual([
      ["SRV", "PTR"],
      ["A", "AAAA"],
    ]);
    await vi.advanceTimersByTimeAsync(250);
    expect(
      asking.asked
        .at(-1)
        ?.packets.flat()
        .map(({ type }) => type),
    ).toEqual(["SRV", "PTR", "A", "AAAA"]);
    asking.hear(four);
    await vi.advanceTimersByTimeAsync(GATHER_MS);
    expect(asking.picture.endpoints()).toEqual([{ address: "10.0.0.1", family: 4, port: 22 }]);
    expect(asking.endedAt()).toBe(250 + GATHER_MS);
  });

  it("ends at once without a link to ask on, and when aborted", async () => {
    const alone = start({ links: 0 });
    await vi.advanceTimersByTimeAsync(0);
    expect(alone.endedAt()).toBe(0);
    const aborted = start();
    aborted.abort.abort();
    await vi.advanceTimersByTimeAsync(0);
    expect(aborted.endedAt()).toBe(0);
    expect(aborted.listeners.size).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });
});
