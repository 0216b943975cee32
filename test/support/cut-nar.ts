// A NAR that is on its way through a gateway, for tests that cut it.

import { randomBytes } from "node:crypto";

import { expect } from "vitest";

import type { Gateway } from "../../src/gateway/gateway.js";
import { fakePath, fakeUpstream, type FakeUpstream } from "./fake-upstream.js";
import { testGateway } from "./gateway.js";
import { ask } from "./http.js";

export const size = 1_000_000;
export const big = fakePath("a", randomBytes(size));
/** Where the gateway of these tests has its NAR. */
export const url = `/pi/${big.narUrl}`;
/** The machine is away, and looked for. */
export const lost = { mayReturn: true };

/** A request for what follows the first `from` bytes. */
export const range = (from: number): { headers: { range: string } } => ({
  headers: { range: `bytes=${from}-` },
});

/** A gateway that waits so many milliseconds for the machine's return. */
export const patient = (resumeMs = 10_000): Promise<Gateway> => testGateway({ limits: { resumeMs } });

/** One that has begun to deliver `big` and is kept waiting at byte `at`. */
export async function delivering(
  at: number,
  resumeMs?: number,
): Promise<{ gateway: Gateway; upstream: FakeUpstream; running: ReturnType<typeof ask> }> {
  const gateway = await patient(resumeMs);
  const upstream = fakeUpstream(big);
  upstream.stallAt = at;
  gateway.setUpstream("pi", upstream);
  const running = ask(gateway.port, url);
  await expect.poll(() => upstream.opened).toBe(1);
  await expect.poll(() => gateway.stats("pi").narBytes).toBe(at);
  return { gateway, upstream, running };
}

/** What comes of `work`, and after how many milliseconds. */
export async function timed<T>(work: Promise<T>): Promise<[T, number]> {
  const begun = performance.now();
  return [await work, performance.now() - begun];
}
