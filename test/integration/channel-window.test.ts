// How much a real sshd sends before it hears from us again, over a long way.

import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from "vitest";
import type { RemoteProgram, SshLink } from "../../src/link/link.js";
import { eventually } from "../support/eventually.js";
import { startFarAway, type FarAway } from "../support/far-away.js";
import { HOST, makeLinkFixture, type LinkFixture } from "../support/link-fixture.js";

const MIB = 1024 * 1024;

let fixture: LinkFixture;
beforeAll(async () => void (fixture = await makeLinkFixture()));
afterEach(() => fixture.endTest());
afterAll(() => fixture.dispose());

/** A link over a way that takes this long each way. */
async function linkOver(delayMs: number): Promise<{ way: FarAway; link: SshLink }> {
  const sshd = await fixture.sshd();
  const way = await startFarAway(sshd, delayMs);
  onTestFinished(() => way.close());
  await fixture.know(sshd.knownHostsLine(HOST).replaceAll(`]:${sshd.port} `, `]:${way.port} `));
  return { way, link: await fixture.connect(way) };
}

interface Reading {
  /** What was read so far. */
  readonly bytes: number;
  stop(): void;
}

/** Programs that write without an end, read as fast as they can be until `enough` bytes have come. */
async function readEndless(link: SshLink, programs: number, enough: number): Promise<Reading> {
  const running = new Set<RemoteProgram>();
  const total = { bytes: 0, stop: () => running.forEach((program) => program.destroy()) };
  const read = async (): Promise<void> => {
    const program = await link.exec("exec cat /dev/zero");
    running.add(program);
    for await (const piece of program) total.bytes += (piece as Buffer).length;
  };
  for (let at = 0; at < programs; at += 1) void read().catch(() => undefined);
  await eventually(`${enough} bytes are read`, () => total.bytes >= enough, 40_000);
  return total;
}

/** How many bytes still come when sshd hears no more of us. */
async function leftOn(way: FarAway, total: Reading): Promise<number> {
  way.hold();
  const before = total.bytes;
  let last: number;
  do {
    last = total.bytes;
    await sleep(500);
  } while (total.bytes !== last);
  return last - before;
}

test("over a long way the window grows to 8 MiB, and no further", async () => {
  const { way, link } = await linkOver(40);
  const left = await leftOn(way, await readEndless(link, 1, 80 * MIB));
  expect(left).toBeGreaterThan(4 * MIB);
  expect(left).toBeLessThanOrEqual(8 * MIB);
});

test("many channels over a long way share what their windows have more than at first", async () => {
  const { way, link } = await linkOver(40);
  const left = await leftOn(way, await readEndless(link, 6, 200 * MIB));
  expect(left).toBeGreaterThan(18 * MIB);
  expect(left).toBeLessThanOrEqual((6 * 2 + 16) * MIB);
});

test("a channel that is given back leaves its window to others", async () => {
  const { way, link } = await linkOver(40);
  const first = await readEndless(link, 3, 120 * MIB);
  first.stop();
  const left = await leftOn(way, await readEndless(link, 1, 80 * MIB));
  expect(left).toBeGreaterThan(4 * MIB);
});

test("a slow reader over a long way has no more than a window in memory", async () => {
  const { way, link } = await linkOver(40);
  const program = await link.exec("exec cat /dev/zero");
  const reading = { bytes: 0, stop: () => program.destroy() };
  let quick = true;
  const read = async (): Promise<void> => {
    for await (const piece of program) {
      reading.bytes += (piece as Buffer).length;
      if (!quick) await sleep(10);
    }
  };
  void read().catch(() => undefined);
  await eventually("the window has grown", () => reading.bytes > 40 * MIB, 40_000);
  quick = false;
  await sleep(4_000);
  quick = true;
  expect(await leftOn(way, reading)).toBeLessThanOrEqual(9 * MIB);
}, 60_000);
